"""The process of one step of a scheduled run: `python -m stacks.step_entrypoint --snapshot_id ID ...`."""

import os
import sys
import threading
import time

from entailment.errors import EntailmentError
from stacks.environment import prepare_environment


def main(arguments: list[str]) -> int:
    """Runs the step that the arguments name; gives the exit code."""
    _end_with_parent()
    # What ZenML tells a step through variables stays.
    prepare_environment(named_stack=True)
    from stacks.home_lock import hold_home
    from stacks.libraries import prepare_libraries
    from stacks.local import make_local_stack
    from stacks.scheduled_step import ScheduledStep

    prepare_libraries()
    try:
        hold_home()
        # An update may have changed what the stacks of this home are made of.
        make_local_stack()
        ScheduledStep(arguments).run()
    except EntailmentError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


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
