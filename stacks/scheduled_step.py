"""A step of a scheduled run, as ZenML sees it.

The scheduler runs a step again whose process died. What the dead attempt left behind is set right first, and a step
that was finished already is not repeated.
"""

import logging
import os
from typing import Any

from zenml.client import Client
from zenml.config.step_configurations import Step
from zenml.entrypoints import StepEntrypointConfiguration
from zenml.enums import ExecutionStatus
from zenml.execution.step.utils import launch_step
from zenml.models import PipelineSnapshotResponse
from zenml.orchestrators.publish_utils import publish_failed_pipeline_run

from stacks.cache import forget_lost_results
from stacks.tracker import use_stack_s_tracker
from tracking.runs import set_aside

_LOG = logging.getLogger(__name__)


class ScheduledStep(StepEntrypointConfiguration):
    """Runs the project's own source where it lies: nothing is unpacked, no folder is changed to."""

    def prepare_code_environment(self) -> None:
        """Does nothing: the process was started in the project's folder, with its Python."""

    def _run_step(self, step: Step, snapshot: PipelineSnapshotResponse) -> None:
        orchestrator = Client().active_stack.orchestrator
        orchestrator._prepare_run(snapshot=snapshot)
        run_id, name = orchestrator.get_orchestrator_run_id(), step.spec.invocation_id
        run = _existing_run(snapshot, run_id)
        use_stack_s_tracker()
        if not step.spec.upstream_steps:
            _close_dead_runs(snapshot, run)
            forget_lost_results()
        if run is not None and not _may_run(run, name):
            return
        try:
            launch_step(snapshot=snapshot, step=step, orchestrator_run_id=run_id, retry=False)
        except BaseException:
            # An attempt that died early is not in ZenML, which would wait for one more.
            run = _existing_run(snapshot, run_id)
            if run is not None and os.environ.get("ENTAILMENT_LAST_ATTEMPT") == "True":
                publish_failed_pipeline_run(run.id)
            raise


def _existing_run(snapshot: PipelineSnapshotResponse, orchestrator_run_id: str) -> Any:
    filters = {"snapshot_id": snapshot.id, "orchestrator_run_id": orchestrator_run_id}
    found = Client().list_pipeline_runs(**filters, size=1, hydrate=True).items
    return found[0] if found else None


def _may_run(run: Any, name: str) -> bool:
    """Whether the step is still to be run; sets aside what an attempt that died logged."""
    attempts = Client().list_run_steps(pipeline_run_id=run.id, name=name, size=20).items
    if any(attempt.status.is_successful for attempt in attempts):
        _LOG.info("Step %s of this run is finished already: not run again.", name)
        return False
    if attempts:
        _LOG.info("Step %s is run again: an earlier attempt failed or died.", name)
        finished = [step for step in run.steps.values() if step.status.is_successful]
        if not any(step.config.experiment_tracker for step in finished):
            set_aside(run.name)
    return True


def _close_dead_runs(snapshot: PipelineSnapshotResponse, current: Any) -> None:
    """Runs of one schedule never overlap: another that still counts as running died with its last attempt."""
    if snapshot.schedule is None:
        return
    running = Client().list_pipeline_runs(
        schedule_id=snapshot.schedule.id, status=ExecutionStatus.RUNNING, size=100
    )
    for run in running.items:
        if current is None or run.id != current.id:
            _LOG.warning("Run %s died: marked as failed.", run.name)
            publish_failed_pipeline_run(run.id)
