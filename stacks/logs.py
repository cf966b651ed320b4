"""What is logged to standard error, and how."""

import logging
import warnings

from entailment.errors import EntailmentError
from entailment.files import disk_fault, disk_message
from entailment.workspace import workspace

_OURS = ("entailment", "steps", "stacks", "tracking", "pipelines")


def quiet_libraries() -> None:
    """Shows our own progress and other libraries' warnings; errors raised on purpose lose their traceback."""
    import zenml.logger  # noqa: F401  (sets up its handlers on import, which are then adapted)

    warnings.filterwarnings("ignore")
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("alembic", "absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It shows the traceback of an error that it raises all the same.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    from zenml.exceptions import RunInterruptedException, RunStoppedException

    error = record.exc_info[1] if record.exc_info else None
    ended = KeyboardInterrupt, RunInterruptedException, RunStoppedException
    if error and (isinstance(error, ended) or in_words(error)):
        record.exc_info = record.exc_text = None
    return True


def in_words(error: BaseException) -> str | None:
    """What a person is told of an error that can be foreseen: one of ours, or a disk that cannot be written.

    None for any other: that one is a fault of the program, and keeps its traceback.
    """
    if isinstance(error, EntailmentError):
        return str(error)
    fault = disk_fault(error)
    return disk_message(fault, workspace().home) if fault else None
