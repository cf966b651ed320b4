#!/usr/bin/env python
"""The command line. `python run_pipeline.py --help` lists the commands; `commands/` holds them."""

import re
import signal
import sys
import threading
import tomllib
from importlib.metadata import version
from pathlib import Path

import click

from commands.champion import promote, rollback, versions
from commands.examples import EXIT_CODES, examples
from commands.output import print_error, print_json
from commands.retraining import retrain, schedule
from commands.training import compare, crossval, train, tune
from commands.upkeep import add, cache, env, ui

_EXAMPLES = "\n\n".join(
    (
        examples(
            "                        train on the generated sample data",
            "--loss focal            the same with another loss",
            "--dataset pairs.csv --images pictures/",
            "--dataset pairs.csv --inputs text",
            "compare --seeds 3       every loss with every kind of input",
            "crossval --folds 5      one configuration, every row judged once",
            "tune --trials 20        search for a better configuration",
            title="Train and compare",
        ),
        examples(
            "ui                      look at all runs in the browser",
            "versions --prune        list the registered versions, remove old ones",
            "promote 3               make version 3 the champion",
            "rollback                make the champion before the champion again",
            title="Use the model",
        ),
        examples(
            "add new.csv --to mine   grow a data set of your own",
            "retrain --dataset mine  train on what is new, promote if it is better",
            'schedule --cron "0 3 * * 1" --dataset mine   every Monday at 03:00 UTC',
            "cache --prune 2GB       bound the store of features",
            "env                     variables for ZenML's own command line",
            title="Keep it up to date",
        ),
        EXIT_CODES,
    )
)


class _TrainByDefault(click.Group):
    """Runs `train` when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h", "--version")):
            args = ["train", *args]
        for before, given in zip(["", *args], args, strict=False):
            if not given or re.fullmatch("--[a-z-]+=", given):
                raise click.UsageError(f"The value behind {(given or before).rstrip('=')} is empty.")
        return super().parse_args(ctx, args)


def _print_version(context: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        told = tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text(encoding="utf-8"))[
            "project"
        ]
        libraries = ", ".join(
            f"{name} {version(name)}" for name in ("zenml", "mlflow", "tensorflow", "keras")
        )
        click.echo(f"{told['name']} {told['version']} ({libraries}, Python {sys.version.split()[0]})")
        context.exit()


@click.group(cls=_TrainByDefault, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version of this program and of its libraries.",
)
def cli() -> None:
    """Does the second of two posts contradict the first, follow from it, or neither?

    Without a command, trains: looks at what is there, reads the pairs, resolves images, splits, writes TFRecords,
    encodes, trains, evaluates and registers the model. Results go to standard output, progress to standard error.
    """


for _command in (
    *(train, compare, crossval, tune, versions, promote, rollback),
    *(add, retrain, schedule, cache, ui, env),
):
    cli.add_command(_command)


def _again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Interrupts once more where an interruption fell into code that cannot pass it on, as a library's callback."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        main_thread = threading.main_thread().ident
        threading.Timer(0.1, signal.pthread_kill, (main_thread, signal.SIGTERM)).start()
    else:
        sys.__unraisablehook__(unraisable)


def main() -> None:
    """Runs the command line; wrong use too ends with an object where --json was asked for."""
    sys.unraisablehook = _again
    # As Ctrl-C: what ZenML raises of its own where it is told to end, a step may take for a fault of what it does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        said = error.format_message()
        if "--json" in sys.argv:
            print_json(sys.stdout, {"error": said})
        context = error.ctx if isinstance(error, click.UsageError) else None
        print_error(f"{said} See: {context.command_path} --help" if context else said)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    main()
