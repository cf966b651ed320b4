"""The pipeline that schedules run: retraining."""

import sys

from entailment.configuration.loading import RunConfiguration, as_yaml
from entailment.configuration.schedule import Schedule
from entailment.workspace import PROJECT
from pipelines.preparation import with_absolute_paths
from pipelines.retraining import retraining
from pipelines.run_options import check_run_options
from stacks.schedules import ScheduleState, create_schedule
from tracking.champion import warn_of_other_data


def schedule_retraining(run: RunConfiguration, name: str, cron: str, force: bool) -> ScheduleState:
    """Makes `retraining` run by `cron` on the active stack, where there is something new, or always with `force`.

    Each run looks at the data when it begins. ZenML is told what the file says of tags, settings and model.

    Raises:
        EntailmentError: as `create_schedule`.
    """
    check_run_options(run)
    # The steps need not know how they are scheduled, nor the webhook's address.
    configuration = run.configuration
    inputs = with_absolute_paths(configuration).model_copy(update={"schedule": Schedule()})
    warn_of_other_data(inputs.task.name, inputs.dataset.source)
    check = [] if force else [sys.executable, str(PROJECT / "run_pipeline.py"), "retrain", "--check"]
    told = as_yaml(inputs, f"What the schedule {name} looks at before each run.")
    return create_schedule(
        name, cron, retraining, (inputs, force), configuration.schedule, check, told, run.options
    )
