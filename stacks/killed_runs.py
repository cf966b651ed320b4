"""Runs of this home's pipelines that a killed process left behind, in ZenML and in MLflow."""

from typing import Any, Final

from zenml.client import Client
from zenml.orchestrators.publish_utils import publish_failed_pipeline_run
from zenml.utils.pagination_utils import depaginate

from stacks.processes import has_ended, this_process
from tracking.killed_runs import close_killed_runs

_KEY: Final = "entailment_process"


def noted_process() -> dict[str, Any]:
    """What a run notes of the process that starts it (`extra` of a ZenML pipeline)."""
    return {_KEY: this_process()}


def end_killed_runs() -> None:
    """Ends them; to be called by a process that holds the home, before it logs anything.

    Only runs whose process is known to have ended: not another machine's, nor another container's. How a scheduled
    run goes its orchestrator knows (`stacks/scheduled_step.py` ends those in ZenML). ZenML's come last: who is killed
    in between finds them again.
    """
    client = Client()
    stack = client.active_stack_model.id
    going = list(depaginate(client.list_pipeline_runs, stack_id=stack, in_progress=True, hydrate=True))
    dead = [run for run in going if _was_killed(run)]
    killed = {run.name for run in dead}

    def has_ended_there(name: str) -> bool:
        found = client.list_pipeline_runs(name=name, size=1).items
        return name in killed or (bool(found) and found[0].status.is_finished)

    close_killed_runs(killed, has_ended_there)
    for run in dead:
        publish_failed_pipeline_run(run.id)


def _was_killed(run: Any) -> bool:
    noted = run.config.extra.get(_KEY)
    return run.schedule is None and noted is not None and has_ended(noted)
