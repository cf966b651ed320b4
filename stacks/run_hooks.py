"""What happens before and after every run of a pipeline, in each process that runs steps of it."""

from stacks.cache import forget_lost_results
from stacks.home_lock import hold_home, release_home
from stacks.killed_runs import end_killed_runs
from stacks.libraries import prepare_libraries
from stacks.tracker import use_stack_s_tracker


def begin_run() -> None:
    """Waits for its turn in the home, ends runs that were killed, and sees to it that nothing which is gone is taken
    from the cache.
    """
    prepare_libraries()
    newly = hold_home()
    use_stack_s_tracker()
    if newly:
        end_killed_runs()
    forget_lost_results()


def end_run() -> None:
    """Lets the next run go on."""
    release_home()
