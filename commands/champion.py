"""Commands on the registered versions: list them, remove old ones, say which is the champion."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from commands.examples import epilog
from commands.options import Integers, json_option, model_name, model_options
from commands.output import print_json, print_text, results_or_failure
from stacks.environment import prepare_environment
from stacks.terminal import width_of


@click.command(
    short_help="List the registered versions; remove old ones with --prune.",
    epilog=epilog("versions", "versions --prune", "versions --json"),
)
@click.option(
    "--prune",
    is_flag=True,
    help="Remove every version that has no alias and that no rollback goes to, with its run and its files.",
)
@model_options
@json_option
def versions(prune: bool, config: Path | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """List the registered versions with their figures, the newest first, and how much disk each takes.

    Each version has a copy of its encoders. --prune never removes the champion, the challenger, another version with
    an alias, nor the one that a rollback would go to. Runs of comparisons stay.
    """
    with _of_model(config, assignments, as_json) as (results, model):
        from stacks.home_lock import hold_home
        from summaries.versions import versions_table
        from tracking.versions import prune_versions, registered_versions

        if prune:
            hold_home()
        pruned = prune_versions(model) if prune else None
        found = registered_versions(model)
        if as_json:
            told = {"model": model, "versions": [asdict(version) for version in found]}
            print_json(results, told | {"pruned": asdict(pruned) if pruned else None})
            return
        print_text(results, versions_table(model, found, width_of(results), pruned))


@click.command(epilog=epilog("promote 3", 'promote 3 --why "better on Implies"'))
@click.argument("version", type=Integers(1, 2**31 - 1))
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
    with _of_model(config, assignments, as_json) as (results, model):
        from tracking import registry

        moved = move(registry, model)
        if as_json:
            print_json(results, moved)
        else:
            print(
                f"Champion: version {moved['version']} (before: {moved['previous'] or 'none'}).", file=results
            )


@contextmanager
def _of_model(
    config: Path | None, assignments: tuple[str, ...], as_json: bool
) -> Iterator[tuple[TextIO, str]]:
    """Gives where results go, and the registered model's name; MLflow uses the home's database."""
    with results_or_failure(as_json) as results:
        prepare_environment()
        from stacks.logs import set_log_levels
        from tracking.experiment import prepare_experiment

        set_log_levels()
        model = model_name(config, assignments)
        prepare_experiment(model)
        yield results, model
