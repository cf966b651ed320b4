"""What starting costs: `--help`, a run in which everything is cached, and what ZenML and MLflow add to the core.

`python benchmarks/startup.py` runs the main job on the generated sample data in a home of its own, once to fill it,
then in turns: `--help` and an empty Python; the fully cached run and the imports that it needs; the whole job again
(`--no-cache`, features stored) and the same work done by the core alone in one process.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click

from benchmarks.measuring import alternate, finish, ratio
from entailment.task import LABELS as NAMES
from entailment.workspace import PROJECT

IMPORTS = "import mlflow, pandas, pyarrow, zenml.client, zenml.pipelines"


def core(home: Path) -> None:
    """The nine steps' work by the core alone: no artifacts between the steps, no tracking, no registry."""
    from dataclasses import asdict

    from entailment.configuration.configuration import Configuration
    from entailment.data.image_paths import resolve_image_paths
    from entailment.data.pairs import read_pairs
    from entailment.data.sources import locate
    from entailment.data.split import split_pairs, split_report
    from entailment.evaluation.report import evaluate_split
    from entailment.model.features import configured_featurizer
    from entailment.model.training import train_head
    from entailment.records.writing import write_records
    from entailment.reporting.evaluation_page import evaluation_figures
    from entailment.reporting.figures import save_figure
    from entailment.serving.package import write_package

    config = Configuration()
    source = locate(config.dataset, config.tweets, home / "datasets", with_images=True)
    pairs = read_pairs(source.csv, config.task, max_text_bytes=config.ingest.max_text_bytes)
    limit = config.images.max_pixels
    resolved, _ = resolve_image_paths(pairs, source.images, missing="mask", max_pixels=limit)
    splits = split_pairs(resolved, config.split, config.seed)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        records = Path(scratch) / "records"
        write_records(splits, records, config)
        featurizer = configured_featurizer(config, home / "encoders", home / "features")
        train, validation = (featurizer.split(records, name) for name in ("train", "validation"))
        head = train_head(train, validation, config.head, config.training, config.seed)
        counts = split_report(splits, NAMES)["counts"]
        evaluated = evaluate_split(records, head, featurizer, counts, config.evaluation, config.seed, splits)
        for name, figure in evaluation_figures(evaluated, head, config).items():
            save_figure(figure, Path(scratch) / name)
        write_package(Path(scratch) / "package", head, config, home / "encoders")
        print(asdict(evaluated.metrics), file=sys.stderr)


def command(*arguments: str) -> list[str]:
    """A Python process with these arguments."""
    return [sys.executable, *arguments]


@click.command(help=__doc__)
@click.option("--rounds", default=3, show_default=True)
@click.option("--core", "core_home", hidden=True, type=click.Path(path_type=Path))
def main(rounds: int, core_home: Path | None) -> None:
    """Measures and prints everything."""
    if core_home:
        core(core_home)
        return
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch), rounds)


def measure(folder: Path, rounds: int) -> None:
    """Runs the three comparisons in the empty `folder`."""
    environment = {
        **os.environ,
        "ENTAILMENT_HOME": str(folder / "home"),
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
    }
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3"}

    def run(*arguments: str) -> None:
        done = subprocess.run(
            command(*arguments), env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}")

    program = str(PROJECT / "run_pipeline.py")
    print("filling a home (encoders are downloaded, one run) ...", file=sys.stderr)
    run(program)
    comparisons = {
        "help": ({"--help": (program, "--help"), "python alone": ("-c", "pass")}, 5),
        "cached": ({"everything cached": (program,), "its imports": ("-c", IMPORTS)}, rounds),
        "whole": (
            {"pipeline": (program, "--no-cache"), "core alone": (__file__, "--core", str(folder / "home"))},
            rounds,
        ),
    }
    seconds = {}
    for name, (sides, times) in comparisons.items():
        print(f"measuring: {', '.join(sides)} ...", file=sys.stderr)
        seconds[name] = alternate({side: lambda a=a: run(*a) for side, a in sides.items()}, times)
        first, second = seconds[name]
        medians = {side: median(values) for side, values in seconds[name].items()}
        print(
            f"{first:<18} {medians[first]:6.2f} s   {second:<13} {medians[second]:6.2f} s"
            f"   difference {medians[first] - medians[second]:6.2f} s"
        )
    whole = {side: median(values) for side, values in seconds["whole"].items()}
    finish("startup", ratio(seconds["whole"], "core alone", "pipeline"), dict(reversed(whole.items())), "s")


if __name__ == "__main__":
    main()
