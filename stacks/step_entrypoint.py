"""The process of one step of a scheduled run: `python -m stacks.step_entrypoint --snapshot_id ID ...`."""

import os
import sys
import threading
import time
from pathlib import Path

from entailment.errors import ScheduleError
from stacks.environment import prepare_environment
from stacks.logs import in_words


def main(arguments: list[str]) -> int:
    """Runs the step that the arguments name; gives the exit code."""
    _end_with_parent()
    # What ZenML tells a step through variables stays.
    prepare_environment(keep_zenml=True)
    from stacks.home_lock import hold_home
    from stacks.libraries import prepare_libraries
    from stacks.local import make_local_stack
    from stacks.scheduled_step import ScheduledStep

    prepare_libraries(told=True)
    try:
        _refuse_foreign_zenml()
        hold_home()
        # An update may have changed what the stacks of this home are made of.
        make_local_stack()
        ScheduledStep(arguments).run()
    except Exception as error:
        if (told := in_words(error)) is None:
            raise
        print(f"Error: {told}", file=sys.stderr)
        return 1
    return 0


def _refuse_foreign_zenml() -> None:
    """Raises ScheduleError where ZenML told this step of a database that is not the one which this program opens.

    An earlier version made the schedule: it kept ZenML's database with the user's own.
    """
    told = os.environ.get("ZENML_STORE_URL", "")
    ours = Path(os.environ["ZENML_CONFIG_PATH"]).resolve()
    if told.startswith("sqlite:///") and not Path(told.removeprefix("sqlite:///")).resolve().is_relative_to(
        ours
    ):
        raise ScheduleError(
            f"An earlier version made this schedule, with ZenML's database {told}; ours is in {ours}. Make it anew:"
            " schedule --delete NAME, then schedule --cron."
        )


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone: the step is run again, and never twice at once."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
