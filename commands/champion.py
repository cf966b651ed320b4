"""Commands that say which registered version is the champion."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from commands.examples import epilog
from commands.options import json_option, model_name, model_options
from commands.output import print_json, results_or_failure
from stacks.environment import prepare_environment


@click.command(epilog=epilog("promote 3", 'promote 3 --why "better on Implies"'))
@click.argument("version", type=click.IntRange(1))
@click.option("--why", default="by hand", show_default=True, help="The reason, kept with the version.")
@model_options
@json_option
def promote(version: int, why: str, config: Path | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Make VERSION of the registered model the champion."""
    _move_champion(
        lambda registry, model: registry.promote(model, str(version), why), config, assignments, as_json
    )


@click.command(
    short_help="Make the champion before this one the champion again.",
    epilog=epilog("rollback", 'rollback --why "confuses sarcasm"'),
)
@click.option("--why", default="by hand", show_default=True, help="The reason, kept with the version.")
@model_options
@json_option
def rollback(why: str, config: Path | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Make the version that was champion before the champion again."""
    _move_champion(lambda registry, model: registry.rollback(model, why), config, assignments, as_json)


def _move_champion(
    move: Callable[[Any, str], dict[str, str]],
    config: Path | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    with results_or_failure(as_json) as results:
        prepare_environment()
        from stacks.logs import set_log_levels
        from tracking import registry
        from tracking.experiment import prepare_experiment

        set_log_levels()
        model = model_name(config, assignments)
        prepare_experiment(model)
        moved = move(registry, model)
        if as_json:
            print_json(results, moved)
        else:
            print(
                f"Champion: version {moved['version']} (before: {moved['previous'] or 'none'}).", file=results
            )
