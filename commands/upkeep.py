"""Commands on what is kept: the data sets, the stored features, the runs."""

import os
import re
import shlex
import sys
import webbrowser
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from commands.examples import epilog
from commands.options import config_option, json_option, model_name, model_options
from commands.output import print_json, print_text, results_or_failure
from entailment.workspace import PROJECT, workspace
from stacks.environment import prepare_environment
from stacks.terminal import width_of

if TYPE_CHECKING:
    from entailment.encoders.feature_inventory import StoredEncoder


@click.command(
    short_help="Add labelled rows to a data set of your own.",
    epilog=epilog(
        "add pairs.csv --images pictures/ --to mine",
        "add new.csv --to mine --json",
        "train --dataset mine",
    ),
)
@click.argument("file", metavar="PAIRS.csv", type=click.Path(path_type=Path))
@click.option("--to", "name", metavar="NAME", required=True, help="The data set; made when absent.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of <id>.<ext> files of these pairs.")
@config_option
@json_option
def add(file: Path, name: str, images: Path | None, config: Path | None, as_json: bool) -> None:
    """Append the labelled rows of PAIRS.csv to a data set of your own, used as --dataset NAME.

    A wrong row refuses the whole file. Rows that are there already are skipped, unless they bring an image that was
    missing. Rows that contradict what is there (another label, text or image) are named and not added; the others
    are, and the exit code is 1.
    """
    with results_or_failure(as_json) as results:
        from entailment.configuration.loading import DEFAULT_FILE, load_configuration
        from entailment.data.additions import add_pairs, addition_summary
        from entailment.inputs import column_rules

        settings = load_configuration(config or PROJECT / DEFAULT_FILE)
        limits = {
            "max_text_bytes": settings.ingest.max_text_bytes,
            "max_pixels": settings.images.max_pixels,
            "max_decoded_bytes": settings.images.max_decoded_bytes,
        }
        places = workspace()
        given = file, images, places.datasets, name, settings.task
        addition = add_pairs(*given, **limits, further=column_rules(), shared=places.shared)
        if as_json:
            print_json(results, {"dataset": name, **asdict(addition)})
        else:
            print_text(results, addition_summary(addition, places.datasets, name))
        if addition.conflicts:
            sys.exit(1)


def _bytes(_context: click.Context, _option: click.Parameter, size: str | None) -> int | None:
    if size is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", size.strip(), re.IGNORECASE)
    if match is None:
        raise click.BadParameter(f"must be a size as 500MB or 2GB. Received: {size}.")
    return int(float(match[1]) * 1000 ** ("B", "KB", "MB", "GB", "TB").index((match[2] or "B").upper()))


@click.command(
    short_help="Show what the store of features holds, and bound it.",
    epilog=epilog("cache", "cache --prune 2GB", "cache --json"),
)
@click.option(
    "--prune",
    callback=_bytes,
    is_flag=False,
    flag_value="10GB",
    metavar="[SIZE]",
    help="Remove what was not used longest until at most SIZE is left, as 500MB or 2GB (without SIZE: 10GB).",
)
@json_option
def cache(prune: int | None, as_json: bool) -> None:
    """Show what the feature store holds, by encoder; bound it with --prune.

    Every distinct text and image is encoded once for each encoder and kept here; what is removed is encoded
    again when it is needed.
    """
    with results_or_failure(as_json) as results:
        from entailment.encoders import feature_inventory

        folder = workspace().features
        # A home that cannot be made is not an empty one.
        folder.mkdir(parents=True, exist_ok=True)
        pruned = feature_inventory.prune(folder, prune) if prune is not None else None
        stored = feature_inventory.inventory(folder)
        if as_json:
            encoders = [asdict(entry) for entry in stored]
            print_json(results, {"encoders": encoders, "pruned": asdict(pruned) if pruned else None})
            return
        if pruned and (stored or pruned.files):
            print(f"Removed {pruned.files} file(s), {pruned.bytes / 1e6:.1f} MB.", file=results)
        print_text(results, _inventory_table(stored, folder, width_of(results)))


def _inventory_table(stored: list["StoredEncoder"], folder: Path, width: int | None) -> str:
    from summaries.text_table import text_table

    if not stored:
        return f"The feature store {folder} is empty."
    rows = []
    for entry in stored:
        names = entry.about.get("inputs", "?"), entry.about.get("encoder", entry.folder)
        used = f"{datetime.fromtimestamp(entry.last_used):%Y-%m-%d %H:%M}"
        rows.append([*names, str(entry.features), f"{entry.bytes / 1e6:.1f}", str(entry.files), used])
    table = text_table(("inputs", "encoder", ">features", ">MB", ">files", "last used"), rows, width)
    return f"{table}\n{sum(entry.bytes for entry in stored) / 1e6:.1f} MB in {folder}"


@click.command(
    short_help="Open the MLflow UI on the runs of this project.",
    epilog=epilog("ui", "ui --port 5001", "ui --run RUN_ID    the page of one run, or of a comparison's"),
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Of 127.0.0.1 to serve on."
)
@click.option(
    "--run", "run_id", metavar="RUN_ID", help="Open this run; a comparison's variants side by side."
)
@model_options
def ui(port: int, run_id: str | None, config: Path | None, assignments: tuple[str, ...]) -> None:
    """Serve the MLflow UI on the runs of this project, also while a run is going, until Ctrl-C.

    Prints the address as soon as it answers; in a terminal of a desktop it is opened in the browser too.
    """
    with results_or_failure(as_json=False) as results:
        prepare_environment()
        from stacks.logs import set_log_levels
        from stacks.ports import check_port
        from tracking.experiment import prepare_experiment
        from tracking.ui import page_of, page_of_runs, serve

        set_log_levels()
        check_port(port, "ui --port N")
        name = model_name(config, assignments)
        prepare_experiment(name)
        address = f"http://127.0.0.1:{port}{page_of(run_id) if run_id else page_of_runs(name)}"
        try:
            serve(port, lambda: _show(address, results))
        except KeyboardInterrupt:  # how it is meant to end
            sys.exit(130)


def _show(address: str, results: TextIO) -> None:
    """Prints an address, and opens it where somebody sits before a screen."""
    print(address, file=results, flush=True)
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if results.isatty() and screen:
        webbrowser.open(address)


@click.command(
    short_help="Print the variables for ZenML's own command line.",
    epilog=epilog("env", "env --config mine.yaml"),
)
@model_options
def env(config: Path | None, assignments: tuple[str, ...]) -> None:
    """Print the environment in which ZenML's own command line works on this project's home and stack.

    Lines for a shell: ZenML's folder, the local stack (made if absent), where the steps' code lies. The main job by
    ZenML's command line:

    \b
      eval "$(python run_pipeline.py env)"
      zenml pipeline run pipelines.training.training -c zenml_config.yaml
    """
    with results_or_failure(as_json=False) as results:
        before = dict(os.environ)
        prepare_environment()
        from stacks.local import use_local_stack
        from stacks.logs import quiet_libraries

        quiet_libraries()
        use_local_stack(model_name(config, assignments))
        changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
        changed |= workspace().variables | {"PYTHONPATH": _with_project(before.get("PYTHONPATH"))}
        changed["ZENML_ACTIVE_STACK_ID"] = os.environ["ZENML_ACTIVE_STACK_ID"]
        # A semicolon each: unquoted, `eval $(...)` makes one line of all.
        for name, value in sorted(changed.items()):
            print(f"export {name}={shlex.quote(value)};", file=results)
        for name in sorted(before.keys() - os.environ.keys()):
            print(f"unset {name};", file=results)


def _with_project(path: str | None) -> str:
    """A PYTHONPATH on which ZenML finds our pipelines and steps."""
    parts = [str(PROJECT), *(path or "").split(os.pathsep)]
    return os.pathsep.join(dict.fromkeys(filter(None, parts)))
