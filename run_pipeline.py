#!/usr/bin/env python
"""The command line. `python run_pipeline.py --help` lists the commands."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from entailment.errors import ConfigurationError, EntailmentError
from entailment.files import DISK_FAULTS

_EXAMPLES = """
\b
Examples:
  python run_pipeline.py                         train on the generated sample data
  python run_pipeline.py --loss focal            the same with another loss
  python run_pipeline.py --dataset pairs.csv --images pictures/
  python run_pipeline.py --dataset pairs.csv --inputs text
  python run_pipeline.py compare --seeds 3       every loss with every kind of input
  python run_pipeline.py crossval --folds 5      one configuration, every row judged once
  python run_pipeline.py tune --trials 20        search for a better configuration
  python run_pipeline.py ui                      look at all runs in the browser
  python run_pipeline.py schedule --cron "0 3 * * 1"   every Monday at 03:00 UTC (see docs/scheduling.md)
  python run_pipeline.py promote 3               make version 3 the champion
  python run_pipeline.py add new.csv --to mine   grow a data set of our own
  python run_pipeline.py retrain --dataset mine  train on what is new, promote if it is better
  python run_pipeline.py cache                   what the store of features holds
"""

_CROSSVAL_EXAMPLES = """
\b
Examples:
  python run_pipeline.py crossval
  python run_pipeline.py crossval --folds 10 --dataset pairs.csv --inputs text
  python run_pipeline.py crossval --config recipe.yaml --dataset pairs.csv --json
"""

_TUNE_EXAMPLES = """
\b
Examples:
  python run_pipeline.py tune --trials 50
  python run_pipeline.py tune --trials 50        50 more of the same search
  python run_pipeline.py tune --trials 30 --dataset pairs.csv --inputs text --output better.yaml
  python run_pipeline.py tune --loss focal --set head.pair_features=true   leave these two as they are
"""


class _TrainByDefault(click.Group):
    """Runs `train` when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h")):
            args = ["train", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_TrainByDefault, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
def cli() -> None:
    """Does the second of two posts contradict the first, follow from it, or neither?

    Without a command, trains: reads the pairs, resolves images, splits, writes TFRecords, trains, evaluates
    and registers the model. Results go to standard output, progress to standard error. Exit code: 0 done,
    1 failed, 2 wrong use, 130 interrupted.
    """


def _json_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")(command)


_RUN_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), help="Configuration file [zenml_config.yaml]."),
    click.option(
        "--preset", type=click.Choice(["default", "keras_example"]), default="default", show_default=True
    ),
    click.option(
        "--dataset",
        metavar="sample|tweets|NAME|FILE.csv",
        help="Generated sample, real tweets, what was added to NAME (NAME@2: its version 2), or your own pairs.",
    ),
    click.option(
        "--images", type=click.Path(path_type=Path), help="Folder of <id>.<ext> files, for FILE.csv."
    ),
    click.option(
        "--missing-images", type=click.Choice(["mask", "drop", "error"]), help="What to do without an image."
    ),
    click.option("--inputs", type=click.Choice(["multimodal", "text", "image"]), help="What the model sees."),
    click.option(
        "--loss", type=click.Choice(["cross_entropy", "weighted", "focal"]), help="What training minimises."
    ),
    click.option("--epochs", type=int, help="Epochs at most."),
    click.option("--seed", type=int, help="Seed of every random choice."),
    click.option("--stack", metavar="NAME", help="ZenML stack to run on [a local one, made if absent]."),
    click.option("--no-cache", is_flag=True, help="Run every step again."),
    click.option(
        "--set", "assignments", multiple=True, metavar="a.b=value", help="Any key of the configuration."
    ),
    _json_option,
)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that runs a pipeline on a data set."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@cli.command()
@_run_options
def train(stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Train, evaluate and register a model (the default command)."""
    with _results(as_json) as results:
        configuration = _configuration(options)
        _use_stack(stack)
        from pipelines.summary import training_summary
        from pipelines.training import run_training

        result = run_training(configuration, use_cache=not no_cache)
        if as_json:
            ids = {"run_id": result.run_id, "model_version": result.model_version}
            _print_json(results, {**ids, "metrics": result.metrics})
        else:
            print(training_summary(result), file=results)


@cli.command()
@_run_options
@click.option(
    "--check", is_flag=True, help="Only say whether there is something new; exit code 3: there is not."
)
def retrain(check: bool, stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Train on what the data set holds now; the new version becomes champion if the promotion gate lets it.

    Stops early, with exit code 0, when there is nothing new since a version was trained (--no-cache retrains all
    the same). Rows stay in their split as the data grow (split.method is hash). The sections promotion and drift
    of the configuration say what is asked of the new version and of the new rows.
    """
    with _results(as_json) as results:
        configuration = _configuration(options)
        _use_stack(stack)
        from entailment.errors import NothingNewError
        from pipelines.retraining import check_for_new_data, run_retraining
        from pipelines.summary import retraining_json, retraining_summary

        try:
            result = (
                check_for_new_data(configuration) if check else run_retraining(configuration, force=no_cache)
            )
        except NothingNewError as nothing:
            line = json.dumps({"new": False, "why": str(nothing)}) if as_json else str(nothing)
            print(line, file=results)
            sys.exit(nothing.exit_code if check else 0)
        if as_json:
            _print_json(results, retraining_json(result))
        else:
            print(retraining_summary(result), file=results)


@cli.command()
@_run_options
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Seeds of each variant."
)
def compare(seeds: int, stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Train every loss with every kind of input and print the table; --inputs and --loss restrict it.

    Registers nothing. Exit code 1 when a variant failed; the others are in the table all the same.
    """
    with _results(as_json) as results:
        from entailment.model.variants import variants

        chosen = variants(options.pop("inputs"), options.pop("loss"))
        kinds = {variant.inputs for variant in chosen}
        shared = kinds.pop() if len(kinds) == 1 else "multimodal"
        configuration = _configuration({**options, "inputs": shared, "loss": None})
        _use_stack(stack)
        from pipelines.comparison import run_comparison
        from pipelines.summary import comparison_summary

        result = run_comparison(configuration, chosen, seeds, use_cache=not no_cache)
        if as_json:
            _print_json(results, {"parent_run_id": result.parent_run_id, "variants": result.variants})
        else:
            print(comparison_summary(result), file=results)
        if any("error" in variant for variant in result.variants):
            sys.exit(1)


@cli.command(epilog=_CROSSVAL_EXAMPLES)
@_run_options
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
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
    with _results(as_json) as results:
        configuration = _configuration(options)
        _use_stack(stack)
        from pipelines.cross_validation import run_cross_validation
        from pipelines.summary import cross_validation_summary

        result = run_cross_validation(configuration, folds, use_cache=not no_cache)
        if as_json:
            each = [fold.get("metrics") or {"error": fold["error"]} for fold in result.folds]
            _print_json(results, {"folds": each, "mean": result.mean, "parent_run_id": result.parent_run_id})
        else:
            print(cross_validation_summary(result), file=results)
        if any("error" in fold for fold in result.folds):
            sys.exit(1)


@cli.command(epilog=_TUNE_EXAMPLES)
@_run_options
@click.option(
    "--trials", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many more."
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    default=3,
    show_default=True,
    help="Validation folds of each trial.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where the best goes [tuned.yaml in the home folder]."
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
    with _results(as_json) as results:
        configuration, given = _configuration(options), list(_given(options))
        _use_stack(stack)
        from entailment.configuration import dotted
        from entailment.home import home
        from pipelines.summary import tuning_summary
        from pipelines.tuning import run_tuning

        target = (output or home() / "tuned.yaml").expanduser().resolve()
        result = run_tuning(configuration, trials, folds, target, fixed=given, use_cache=not no_cache)
        if as_json:
            best = {"trial": result.number, "value": result.value, "configuration": dotted(result.best)}
            counts = {"trials": len(result.states), "earlier": result.earlier}
            ids = {"parent_run_id": result.parent_run_id, "study": result.study, "output": str(target)}
            _print_json(results, {**ids, **counts, "start": result.started_with, "best": best})
        else:
            print(tuning_summary(result), file=results)


@cli.command()
@_run_options
@click.option(
    "--cron", metavar="EXPRESSION", help='When, in UTC, as in crontab: "0 3 * * 1" is Mondays at 03:00.'
)
@click.option("--name", default="retraining", show_default=True, help="What the new schedule is called.")
@click.option("--list", "listed", is_flag=True, help="Show the schedules, next and last runs.")
@click.option("--delete", metavar="NAME", help="Remove a schedule; runs that ended are kept.")
@click.option("--pause", metavar="NAME", help="Start no more runs and steps until --resume.")
@click.option("--resume", metavar="NAME", help="Go on after --pause.")
def schedule(as_json: bool, **options: Any) -> None:
    """Retrain on a schedule that Airflow keeps (--stack airflow, the default here); first: make airflow.

    Exactly one of --cron, --list, --delete, --pause and --resume. What the other options say is fixed when the
    schedule is made; the data are read anew at every run, which is skipped where nothing is new (--no-cache: never).
    """
    with _results(as_json) as results:
        action = _schedule_action(options)
        _prepare()
        from stacks.airflow_stack import use_airflow_stack
        from stacks.logs import quiet_libraries

        quiet_libraries()
        use_airflow_stack()
        from pipelines.summary import schedules_table

        states, fault = action()
        if as_json:
            error = {"error": str(fault)} if fault else {}
            _print_json(results, {"schedules": [asdict(state) for state in states], **error})
        else:
            print(schedules_table(states), file=results)
        if fault is not None:
            print(f"Error: {fault}", file=sys.stderr)
            sys.exit(fault.exit_code)


@cli.command()
@click.argument("version")
@click.option("--why", default="by hand", show_default=True, help="The reason, kept with the version.")
@_json_option
def promote(version: str, why: str, as_json: bool) -> None:
    """Make VERSION of the registered model the champion."""
    _move_champion(lambda registry: registry.promote(version, why), as_json)


@cli.command()
@click.option("--why", default="by hand", show_default=True, help="The reason, kept with the version.")
@_json_option
def rollback(why: str, as_json: bool) -> None:
    """Make the version that was champion before the champion again."""
    _move_champion(lambda registry: registry.rollback(why), as_json)


@cli.command()
@click.argument("file", metavar="PAIRS.csv", type=click.Path(path_type=Path))
@click.option("--to", "name", metavar="NAME", required=True, help="The data set; made when absent.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder of <id>.<ext> files of these pairs.")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file [zenml_config.yaml].")
@_json_option
def add(file: Path, name: str, images: Path | None, config: Path | None, as_json: bool) -> None:
    """Append the labelled rows of PAIRS.csv to a data set of our own, used as --dataset NAME.

    A wrong row refuses the whole file. Rows that are there already are skipped. Rows that contradict what is
    there (another label, text or image) are named and not added; the others are, and the exit code is 1.
    """
    with _results(as_json) as results:
        from dataclasses import asdict

        from entailment.configuration import DEFAULT_FILE, load_configuration
        from entailment.data.additions import add_pairs, addition_summary
        from entailment.home import PROJECT, home

        settings = load_configuration(config or PROJECT / DEFAULT_FILE)
        limits = {
            "max_text_bytes": settings.ingest.max_text_bytes,
            "max_pixels": settings.images.max_pixels,
        }
        addition = add_pairs(file, images, home() / "datasets", name, **limits)
        if as_json:
            _print_json(results, {"dataset": name, **asdict(addition)})
        else:
            print(addition_summary(name, addition), file=results)
        if addition.conflicts:
            sys.exit(1)


@cli.command()
@click.option(
    "--prune",
    is_flag=False,
    flag_value="10GB",
    metavar="[SIZE]",
    help="Remove what was not used longest until at most SIZE is left, as 500MB or 2GB (without SIZE: 10GB).",
)
@_json_option
def cache(prune: str | None, as_json: bool) -> None:
    """Show what the feature store holds, by encoder; bound it with --prune.

    Every distinct text and image is encoded once for each encoder and kept here; what is removed is encoded
    again when it is needed.
    """
    with _results(as_json) as results:
        from entailment.encoders import feature_inventory
        from entailment.home import home

        folder = home() / "features"
        pruned = feature_inventory.prune(folder, _bytes(prune)) if prune else None
        stored = feature_inventory.inventory(folder)
        if as_json:
            encoders = [asdict(entry) for entry in stored]
            _print_json(results, {"encoders": encoders, "pruned": asdict(pruned) if pruned else None})
            return
        if pruned:
            print(f"Removed {pruned.files} file(s), {pruned.bytes / 1e6:.1f} MB.", file=results)
        print(feature_inventory.table(stored, folder), file=results)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option(
    "--run", "run_id", metavar="RUN_ID", help="Give the address of this run, of a comparison side by side."
)
def ui(port: int, run_id: str | None) -> None:
    """Open the MLflow UI on the runs of this project, also while a run is going (Ctrl-C ends it)."""
    with _results(as_json=False) as results:
        _prepare()
        from tracking.experiment import page_of, prepare_experiment, ui_command

        prepare_experiment()
        page = page_of(run_id) if run_id else ""
        print(f"http://127.0.0.1:{port}{page}", file=results, flush=True)
    os.execv(sys.executable, ui_command(port))


def _move_champion(move: Callable[[Any], dict[str, str]], as_json: bool) -> None:
    with _results(as_json) as results:
        _prepare()
        from tracking import registry
        from tracking.experiment import prepare_experiment

        prepare_experiment()
        moved = move(registry)
        if as_json:
            _print_json(results, moved)
        else:
            print(
                f"Champion: version {moved['version']} (before: {moved['previous'] or 'none'}).", file=results
            )


def _schedule_action(options: dict[str, Any]) -> Callable[[], tuple[list[Any], EntailmentError | None]]:
    """What the one given option of `schedule` does: gives the schedules concerned, and what went wrong."""
    given = [name for name in ("cron", "listed", "delete", "pause", "resume") if options[name]]
    if len(given) != 1 or options["stack"] not in (None, "airflow"):
        raise ConfigurationError(
            "schedule needs exactly one of --cron, --list, --delete, --pause and --resume, and --stack airflow."
        )
    configuration = None
    if options["cron"]:
        from stacks.cron import checked_cron

        checked_cron(options["cron"])
        configuration = _configuration(options)

    def act() -> tuple[list[Any], EntailmentError | None]:
        from stacks import schedules

        if configuration is not None:
            from pipelines.scheduled import schedule_retraining

            made = schedule_retraining(configuration, options["name"], options["cron"], options["no_cache"])
            return [made], None
        if options["delete"]:
            schedules.delete_schedule(options["delete"])
        if options["delete"] or options["listed"]:
            return schedules.list_schedules()
        name, paused = options["pause"] or options["resume"], bool(options["pause"])
        return [schedules.pause_schedule(name, paused=paused)], None

    return act


def _bytes(size: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", size.strip(), re.IGNORECASE)
    if match is None:
        raise click.BadParameter(f"must be a size as 500MB or 2GB. Received: {size}", param_hint="--prune")
    return int(float(match[1]) * 1000 ** ("B", "KB", "MB", "GB", "TB").index((match[2] or "B").upper()))


def _configuration(options: dict[str, Any]) -> Any:
    """The validated configuration that the options of a run name."""
    from entailment.configuration import DEFAULT_FILE, load_configuration
    from entailment.home import PROJECT

    return load_configuration(options["config"] or PROJECT / DEFAULT_FILE, options["preset"], _given(options))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The configuration's keys, dotted, that the options of a run set."""
    from entailment.configuration import parse_assignments

    return _overrides(options) | parse_assignments(options["assignments"])


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    keys = {
        "dataset": "dataset.source",
        "images": "dataset.images",
        "missing_images": "images.missing",
        "inputs": "inputs",
        "loss": "training.loss",
        "epochs": "training.epochs",
        "seed": "seed",
    }
    given = {key: options[name] for name, key in keys.items() if options[name] is not None}
    return {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}


def _prepare() -> None:
    from stacks.environment import prepare_environment

    prepare_environment()


def _use_stack(name: str | None) -> None:
    _prepare()
    from stacks.logs import quiet_libraries

    quiet_libraries()
    if name is None:
        from stacks.local import use_local_stack

        use_local_stack()
    else:
        from stacks.named import use_named_stack

        use_named_stack(name)


@contextlib.contextmanager
def _results(as_json: bool) -> Iterator[TextIO]:
    """Gives the real standard output; whatever else is printed meanwhile goes to standard error.

    Turns failures into one plain message (with --json an object) and the right exit code.
    """
    sys.stdout.flush()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        yield results
    except KeyboardInterrupt:
        _fail(results, as_json, "Interrupted. No half-written file is kept; run again to go on.", 130)
    except EntailmentError as error:
        _fail(results, as_json, str(error), error.exit_code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            place = f" {error.filename}" if error.filename else ""
            todo = "Make room or give the right to it, or set ENTAILMENT_HOME to another folder."
            _fail(results, as_json, f"Cannot read or write{place}: {error.strerror}. {todo}", 1)
        if as_json:
            _print_json(results, {"error": f"{type(error).__name__}: {error}"})
        raise
    finally:
        results.flush()
        os.dup2(results.fileno(), 1)


def _fail(results: TextIO, as_json: bool, message: str, code: int) -> None:
    if as_json:
        _print_json(results, {"error": message})
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(code)


def _print_json(results: TextIO, value: dict[str, Any]) -> None:
    print(json.dumps(value, allow_nan=False), file=results)


def main() -> None:
    """Runs the command line; wrong use too ends with an object where --json was asked for."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        if "--json" in sys.argv:
            _print_json(sys.stdout, {"error": error.format_message()})
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    main()
