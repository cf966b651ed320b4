"""Commands that train on what is new: once, or on a schedule."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from commands.examples import epilog
from commands.options import model_name, run_configuration_from, run_options, use_stack
from commands.output import print_error, print_json, print_text, results_or_failure
from entailment.errors import ConfigurationError, EntailmentError, NothingNewError
from stacks.environment import prepare_environment
from stacks.terminal import width_of


@click.command(
    short_help="Train on what is new; promote it if it is better.",
    epilog=epilog(
        "retrain --dataset mine",
        "retrain --dataset mine --check       ends with 3 when nothing is new",
        "retrain --dataset mine --no-cache    even then",
    ),
)
@run_options
@click.option(
    "--check", is_flag=True, help="Only say whether there is something new; exit code 3: there is not."
)
def retrain(check: bool, stack: str | None, no_cache: bool, as_json: bool, **options: Any) -> None:
    """Train on what the data set holds now; the new version becomes champion if the promotion gate lets it.

    Stops early, with exit code 0, when there is nothing new since a version was trained (--no-cache retrains all
    the same). Rows stay in their split as the data grow (split.method is hash). The sections promotion and drift
    of the configuration say what is asked of the new version and of the new rows.
    """
    with results_or_failure(as_json) as results:
        run = run_configuration_from(options)
        use_stack(stack, run)
        from pipelines.runner import check_for_new_data, run_retraining
        from summaries.results import retraining_json, retraining_summary

        result = None
        try:
            if check:
                check_for_new_data(run.configuration)
            else:
                result = run_retraining(run, force=no_cache)
        except NothingNewError as nothing:
            if as_json:
                print_json(results, {"new": False, "why": str(nothing)})
            else:
                print_text(results, str(nothing))
            sys.exit(nothing.exit_code if check else 0)
        if as_json:
            print_json(results, retraining_json(result))
        else:
            print_text(results, retraining_summary(result))


@click.command(
    short_help="Retrain on a schedule that Airflow keeps.",
    epilog=epilog(
        'schedule --cron "0 3 * * 1" --dataset mine',
        "schedule --list",
        "schedule --pause retraining",
    ),
)
@run_options
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
    with results_or_failure(as_json) as results:
        action = _schedule_action(options)
        prepare_environment()
        from stacks.airflow_stack import use_airflow_stack
        from stacks.libraries import prepare_libraries

        prepare_libraries(told=True)
        use_airflow_stack(model_name(options["config"], options["assignments"]))
        from summaries.results import schedules_table

        states, fault = action()
        if as_json:
            error = {"error": str(fault)} if fault else {}
            print_json(results, {"schedules": [asdict(state) for state in states], **error})
        else:
            print_text(results, schedules_table(states, width_of(results)))
        if fault is not None:
            print_error(str(fault))
            sys.exit(fault.exit_code)


def _schedule_action(options: dict[str, Any]) -> Callable[[], tuple[list[Any], EntailmentError | None]]:
    """What the one given option of `schedule` does: gives the schedules concerned, and what went wrong."""
    given = [name for name in ("cron", "listed", "delete", "pause", "resume") if options[name]]
    if len(given) != 1 or options["stack"] not in (None, "airflow"):
        raise ConfigurationError(
            "schedule needs exactly one of --cron, --list, --delete, --pause and --resume, and --stack airflow."
        )
    run = None
    if options["cron"]:
        from stacks.cron import checked_cron

        checked_cron(options["cron"])
        run = run_configuration_from(options)

    def act() -> tuple[list[Any], EntailmentError | None]:
        from stacks import schedules

        if run is not None:
            from pipelines.scheduled import schedule_retraining

            made = schedule_retraining(run, options["name"], options["cron"], options["no_cache"])
            return [made], None
        if options["delete"]:
            schedules.delete_schedule(options["delete"])
        if options["delete"] or options["listed"]:
            return schedules.list_schedules()
        name, paused = options["pause"] or options["resume"], bool(options["pause"])
        return [schedules.pause_schedule(name, paused=paused)], None

    return act
