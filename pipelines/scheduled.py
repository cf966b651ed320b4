"""The pipeline that schedules run."""

from entailment.configuration import Configuration, Schedule
from pipelines.preparation import with_absolute_paths
from pipelines.training import training
from stacks.schedules import ScheduleState, create_schedule


def schedule_pipeline(configuration: Configuration, name: str, cron: str, use_cache: bool) -> ScheduleState:
    """Makes the pipeline run by `cron` on the active stack; each run looks at the inputs when it begins.

    Raises:
        EntailmentError: as `create_schedule`.
    """
    # The steps need not know how they are scheduled, nor the webhook's address.
    inputs = with_absolute_paths(configuration).model_copy(update={"schedule": Schedule()})
    pipeline = training.with_options(enable_cache=use_cache)
    return create_schedule(name, cron, pipeline, (inputs,), configuration.schedule)
