"""What happens before and after every run of a pipeline, in each process that runs steps of it."""

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.orchestrators.publish_utils import publish_failed_pipeline_run

from stacks.cache import forget_lost_results
from stacks.home_lock import hold_home, release_home
from stacks.libraries import prepare_libraries
from stacks.local import is_active
from stacks.tracker import use_stack_s_tracker
from tracking.killed_runs import close_killed_runs


def begin_run() -> None:
    """Waits for its turn in the home, ends runs that were killed, and sees to it that nothing which is gone is taken
    from the cache.
    """
    prepare_libraries()
    newly = hold_home()
    use_stack_s_tracker()
    if newly and is_active():
        for name in close_killed_runs():
            # A run of ours has the same name in both.
            for run in Client().list_pipeline_runs(name=name, status=ExecutionStatus.RUNNING).items:
                publish_failed_pipeline_run(run.id)
    forget_lost_results()


def end_run() -> None:
    """Lets the next run go on."""
    release_home()
