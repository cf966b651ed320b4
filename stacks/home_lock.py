"""One process at a time runs steps in a home: a whole run of our command or ZenML's, or one step of a schedule."""

import atexit
import shutil
import tempfile
from contextlib import ExitStack, suppress

from entailment.files import locked
from entailment.workspace import workspace

_held: list[ExitStack] = []


def hold_home() -> bool:
    """Waits for other processes' runs in this home and keeps them waiting until `release_home`.

    What killed processes were writing is removed then: only who holds the home writes there, and what libraries write
    for the moment (MLflow 90 MB of a model) they write there too. A process that holds the home already goes on, and
    False is given: a step's process does before ZenML calls the hooks of the pipeline.
    """
    if _held:
        return False
    lock = ExitStack()
    lock.enter_context(
        locked(workspace().run_lock, "Another run is going in this home: waiting for its end.")
    )
    _held.append(lock)
    _empty_scratch()
    tempfile.tempdir = str(workspace().scratch)
    # ZenML calls no hook where a run is interrupted.
    atexit.register(release_home)
    return True


def release_home() -> None:
    """Removes what a step was writing, and lets others go on; does nothing where the home is not held."""
    if _held:
        tempfile.tempdir = None
        with suppress(OSError):
            _empty_scratch()
        _held.pop().close()


def _empty_scratch() -> None:
    for left in workspace().scratch.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
