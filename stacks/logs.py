"""What is logged to standard error, and how."""

import logging
import warnings

from entailment.errors import EntailmentError
from entailment.files import DISK_FAULTS

_OURS = ("entailment", "steps", "stacks", "tracking", "pipelines")


def quiet_libraries() -> None:
    """Shows our own progress and other libraries' warnings; errors raised on purpose lose their traceback."""
    import zenml.logger  # noqa: F401  (sets up its handlers on import, which are then adapted)

    warnings.filterwarnings("ignore")
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("alembic", "mlflow.store.db.utils", "absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    from zenml.exceptions import RunInterruptedException, RunStoppedException

    error = record.exc_info[1] if record.exc_info else None
    ended = KeyboardInterrupt, RunInterruptedException, RunStoppedException
    foreseen = isinstance(error, (EntailmentError, *ended))
    if foreseen or (isinstance(error, OSError) and error.errno in DISK_FAULTS):
        record.exc_info = record.exc_text = None
    return True
