"""Runs of this home's pipelines that a killed process left behind, in ZenML and in MLflow."""

from typing import Any

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.orchestrators.publish_utils import publish_failed_pipeline_run

from tracking.killed_runs import close_killed_runs

_HOOK = "stacks.run_hooks.begin_run"


def end_killed_runs() -> None:
    """Ends them; to be called by a process that has just begun to hold the home, before it logs anything.

    Only a run with our hook holds the home while it is going. One that is scheduled holds it for each step alone, and
    its orchestrator knows how it goes: it is left as it is. So is one that has not yet come to log.
    """
    dead: dict[str, bool] = {}

    def is_dead(name: str) -> bool:
        if name not in dead:
            found = Client().list_pipeline_runs(name=name, status=ExecutionStatus.RUNNING, hydrate=True).items
            dead[name] = any(_held_the_home(run) for run in found)
            for run in filter(_held_the_home, found):
                publish_failed_pipeline_run(run.id)
        return dead[name]

    close_killed_runs(is_dead)


def _held_the_home(run: Any) -> bool:
    hook = getattr(run.config, "init_hook_source", None)
    return run.schedule is None and hook is not None and hook.import_path == _HOOK
