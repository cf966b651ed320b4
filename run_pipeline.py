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
  python run_pipeline.py ui                      look at all runs in the browser
  python run_pipeline.py schedule --cron "0 3 * * 1"   every Monday at 03:00 UTC (see docs/scheduling.md)
  python run_pipeline.py promote 3               make version 3 the champion
  python run_pipeline.py cache                   what the store of features holds
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
        "--dataset", metavar="sample|tweets|FILE.csv", help="Generated sample, real tweets or your own pairs."
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


@cli.command()
@_run_options
@click.option(
    "--cron", metavar="EXPRESSION", help='When, in UTC, as in crontab: "0 3 * * 1" is Mondays at 03:00.'
)
@click.option("--name", default="training", show_default=True, help="What the new schedule is called.")
@click.option("--list", "listed", is_flag=True, help="Show the schedules, next and last runs.")
@click.option("--delete", metavar="NAME", help="Remove a schedule; runs that ended are kept.")
@click.option("--pause", metavar="NAME", help="Start no more runs and steps until --resume.")
@click.option("--resume", metavar="NAME", help="Go on after --pause.")
def schedule(as_json: bool, **options: Any) -> None:
    """Retrain on a schedule that Airflow keeps (--stack airflow, the default here); first: make airflow.

    Exactly one of --cron, --list, --delete, --pause and --resume. What the other options say is fixed when the
    schedule is made; the data are read anew at every run.
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
            from pipelines.scheduled import schedule_pipeline

            made = schedule_pipeline(configuration, options["name"], options["cron"], not options["no_cache"])
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
    from entailment.configuration import DEFAULT_FILE, load_configuration, parse_assignments
    from entailment.home import PROJECT

    file = options["config"] or PROJECT / DEFAULT_FILE
    overrides = _overrides(options) | parse_assignments(options["assignments"])
    return load_configuration(file, options["preset"], overrides)


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
