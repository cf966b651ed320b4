"""Commands that train: one model, every variant, every fold, or a search."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from commands.examples import epilog
from commands.options import Integers, given_keys, run_configuration_from, run_options, use_stack
from commands.output import print_json, print_text, results_or_failure
from entailment.errors import ConfigurationError
from entailment.task import MULTIMODAL
from entailment.workspace import workspace
from stacks.terminal import width_of


@click.command(
    epilog=epilog(
        "--dataset pairs.csv --images pictures/",
        "train --loss focal --epochs 20 --set head.dropout=0.3",
        "train --config tuned.yaml --json",
    )
)
@run_options
def train(stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Train, evaluate and register a model (the default command)."""
    with results_or_failure(as_json) as results:
        run = run_configuration_from(options)
        use_stack(stack, run)
        from pipelines.runner import run_training
        from summaries.results import training_summary

        result = run_training(run, use_cache=not no_cache)
        if as_json:
            ids = {"run_id": result.run_id, "model_version": result.model_version}
            print_json(results, {**ids, "metrics": result.metrics})
        else:
            print_text(results, training_summary(result))


@click.command(
    short_help="Train every loss with every kind of input, and compare.",
    epilog=epilog(
        "compare --seeds 3",
        "compare --inputs text --dataset pairs.csv     every loss, texts alone",
        "compare --loss focal --json                   one loss, every kind of input",
    ),
)
@run_options
@click.option("--seeds", type=Integers(1, 100), default=1, show_default=True, help="Seeds of each variant.")
def compare(seeds: int, stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Train every loss with every kind of input and print the table; --inputs and --loss restrict it.

    Registers nothing. Exit code 1 when a variant failed; the others are in the table all the same.
    """
    with results_or_failure(as_json) as results:
        from entailment.trials.variants import variants

        given, asked = given_keys(options), run_configuration_from(options).configuration
        # A file that names one kind of input means it; `multimodal` is what stands there otherwise.
        inputs = given.get("inputs") or (asked.inputs if asked.inputs != MULTIMODAL else None)
        chosen = variants(inputs, given.get("training.loss"))
        kinds = {variant.inputs for variant in chosen}
        shared = kinds.pop() if len(kinds) == 1 else MULTIMODAL
        run = run_configuration_from({**options, "inputs": shared, "loss": None})
        if (last := run.configuration.seed + seeds - 1) >= 2**31:
            raise ConfigurationError(
                f"--seeds: the last seed would be {last}, and must be less than {2**31}."
            )
        use_stack(stack, run)
        from pipelines.runner import run_comparison
        from summaries.results import comparison_summary

        result = run_comparison(run, chosen, seeds, use_cache=not no_cache)
        if as_json:
            print_json(results, {"parent_run_id": result.parent_run_id, "variants": result.variants})
        else:
            print_text(results, comparison_summary(result, width_of(results)))
        if any("error" in variant for variant in result.variants):
            sys.exit(1)


@click.command(
    short_help="Judge one configuration by k-fold cross-validation.",
    epilog=epilog(
        "crossval",
        "crossval --folds 10 --dataset pairs.csv --inputs text",
        "crossval --dataset pairs.csv --inputs text --json",
    ),
)
@run_options
@click.option(
    "--folds",
    type=Integers(2, 100),
    default=5,
    show_default=True,
    help="How many parts, each judged once.",
)
def crossval(folds: int, stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Judge one configuration by stratified k-fold cross-validation over all rows of the data set.

    Every row is answered by a model that was not trained on it. Prints each fold, mean and standard deviation,
    and the macro-F1 of all answers pooled. Registers nothing. Exit code 1 when a fold failed; the others are in the
    table all the same.
    """
    with results_or_failure(as_json) as results:
        run = run_configuration_from(options)
        use_stack(stack, run)
        from pipelines.runner import run_cross_validation
        from summaries.results import cross_validation_summary

        result = run_cross_validation(run, folds, use_cache=not no_cache)
        if as_json:
            each = [fold.get("metrics") or {"error": fold["error"]} for fold in result.folds]
            told = {"parent_run_id": result.parent_run_id, "suspicious": result.suspicious}
            print_json(results, {"folds": each, "mean": result.mean, **told})
        else:
            print_text(results, cross_validation_summary(result, width_of(results)))
        if any("error" in fold for fold in result.folds):
            sys.exit(1)


@click.command(
    short_help="Search for a better configuration.",
    epilog=epilog(
        "tune --trials 50",
        "tune --trials 50        50 more of the same search",
        "tune --dataset pairs.csv --output better.yaml",
        "tune --loss focal --set head.pair_features=true   leave these two as they are",
    ),
)
@run_options
@click.option("--trials", type=Integers(1, 10_000), default=20, show_default=True, help="How many more.")
@click.option(
    "--folds",
    type=Integers(2, 100),
    default=3,
    show_default=True,
    help="Validation folds of each trial.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    show_default="tuned.yaml in the home folder",
    help="The file for the best configuration.",
)
def tune(
    trials: int,
    folds: int,
    output: Path | None,
    stack: str | None,
    no_cache: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for a better configuration, judged by macro-F1 on validation folds; the test split is not read.

    The first trial is the given configuration; what is given on the command line is not changed. Called again with
    the same data and configuration, the search goes on where it ended; Ctrl-C loses the trial that is going only.
    Writes the best configuration to a file for `train --config`. Registers nothing.
    """
    with results_or_failure(as_json) as results:
        run, given = run_configuration_from(options), list(given_keys(options))
        target = _output_file(output) if output else workspace().home / "tuned.yaml"
        use_stack(stack, run)
        from entailment.configuration.section import dotted
        from pipelines.runner import run_tuning
        from summaries.results import tuning_summary

        result = run_tuning(run, trials, folds, target, fixed=given, use_cache=not no_cache)
        if as_json:
            best = {"trial": result.number, "value": result.value, "configuration": dotted(result.best)}
            counts = {"trials": len(result.states), "earlier": result.earlier}
            ids = {"parent_run_id": result.parent_run_id, "study": result.study, "output": str(target)}
            print_json(results, {**ids, **counts, "start": result.started_with, "best": best})
        else:
            print_text(results, tuning_summary(result))


def _output_file(given: Path) -> Path:
    """Where to write, absolute. Raises ConfigurationError where nothing can be, before hours of search."""
    target = given.expanduser().resolve()
    if target.is_dir():
        raise ConfigurationError(f"--output must be a file. Received: {target}, which is a folder.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise ConfigurationError(
            f"--output: no file can be written in {target.parent} ({error.strerror}). Name another one."
        ) from None
    return target
