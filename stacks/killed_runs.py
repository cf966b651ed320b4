"""Runs of this home's pipelines that a killed process left behind, in ZenML and in MLflow."""

import socket
from typing import Any, Final

from zenml.client import Client
from zenml.orchestrators.publish_utils import publish_failed_pipeline_run
from zenml.utils.pagination_utils import depaginate

from stacks.local import is_active
from stacks.processes import has_ended, this_process, this_system
from tracking.killed_runs import close_killed_runs

_KEY: Final = "entailment_process"


def noted_process() -> dict[str, Any]:
    """What a run notes of the process that starts it (`extra` of a ZenML pipeline)."""
    return {_KEY: this_process()}


def end_killed_runs() -> None:
    """Ends them; to be called by a process that holds the home, before it logs anything.

    Only runs whose process is known to have ended (`_was_killed`). How a scheduled run goes its orchestrator knows
    (`stacks/scheduled_step.py` ends those in ZenML). ZenML's come last: who is killed in between finds them again.
    """
    client, of_this_home = Client(), is_active()
    stack = client.active_stack_model.id
    going = list(depaginate(client.list_pipeline_runs, stack_id=stack, in_progress=True, hydrate=True))
    dead = [run for run in going if _was_killed(run, of_this_home)]
    killed = {run.name for run in dead}

    def has_ended_there(name: str) -> bool:
        found = client.list_pipeline_runs(name=name, size=1).items if of_this_home else []
        return name in killed or (bool(found) and found[0].status.is_finished)

    close_killed_runs(killed, has_ended_there)
    for run in dead:
        publish_failed_pipeline_run(run.id)


def _was_killed(run: Any, of_this_home: bool) -> bool:
    """Whether the process that started a run has ended.

    On another stack than the home's its host may share its name with others: there it must be this very system. On
    the home's own stack, who has begun a step held the home, and whoever asks holds it now: a run of another host, as
    of a container that was started anew under another name, has ended too. One without a step may wait for its turn.
    """
    noted = run.config.extra.get(_KEY)
    if run.schedule is not None or noted is None:
        return False
    if not of_this_home:
        return noted.get("system") == this_system() != "" and has_ended(noted)
    return has_ended(noted) or (noted["host"] != socket.gethostname() and bool(run.steps))
