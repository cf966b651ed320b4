"""What is logged to standard error, and how."""

import copy
import logging
import re
import sys
import warnings
from typing import Final

from entailment.disks import disk_fault, disk_message
from entailment.errors import EntailmentError
from entailment.workspace import workspace
from stacks.terminal import folded, width_of

_OURS: Final = ("entailment", "steps", "stacks", "tracking", "pipelines")
_SETTING_UP: Final = (
    *(
        "Initializing the ZenML global",
        "Creating database tables",
        "Creating default ",
        "Setting the global ",
    ),
    *("Initiating a new run", "Registered new pipeline", "Using user: ", "Using stack: "),
    *("Executing the pipeline's ", "Caching is disabled by default"),
    # The dashboard is not among the pinned packages: `zenml login --local` ends with a traceback.
    *("You can visualize your pipeline runs", "Models can be viewed in the dashboard"),
)
"""How those messages of ZenML begin that say how it sets itself up."""
_COMPONENT: Final = re.compile(r"  [a-z_]+: `[^`]*`")
"""What it says of each component of the stack."""


def quiet_libraries(*, told: bool = False) -> None:
    """Shows the steps, our own progress and other libraries' warnings; nothing of how ZenML sets itself up.

    Errors raised on purpose lose their traceback. `told`: who calls this says at the end why a step failed, so that
    it is not said here. In a terminal lines are folded between words.
    """
    from zenml.logger import ZenMLConsoleHandler

    set_log_levels()
    for handler in logging.getLogger().handlers:
        # What ZenML keeps of a step's log, by another handler, stays whole.
        if isinstance(handler, ZenMLConsoleHandler):
            _adapt(handler, told)


def set_log_levels() -> None:
    """What a command needs that uses MLflow alone: our own progress is shown, of MLflow what is wrong."""
    warnings.filterwarnings("ignore")
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("alembic", "absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It shows the traceback of an error that it raises all the same.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)


def _adapt(handler: logging.Handler, told: bool) -> None:
    if not isinstance(handler.formatter, _Shown):
        handler.setFormatter(_Shown(handler.formatter or logging.Formatter()))
        handler.addFilter(_is_worth_showing)
    if told and isinstance(handler.formatter, _Shown) and not handler.formatter.told:
        handler.formatter.told = True
        handler.addFilter(_ToldLater())


def _is_worth_showing(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    sets_up = said.startswith(_SETTING_UP) or _COMPONENT.fullmatch(said)
    return not (record.name.startswith("zenml.") and sets_up)


class _ToldLater(logging.Filter):
    """Keeps back why a step failed, which is told at the end, until ZenML says that it tries the step again."""

    _kept = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        said = record.getMessage()
        if said.startswith("Failed to run step "):
            self._kept = said
            return False
        if said.startswith("Sleeping for ") and self._kept:
            record.msg, record.args, self._kept = f"{self._kept}\n{said}", (), ""
        return True


class _Shown(logging.Formatter):
    """Another formatter's text: folded, without the traceback of an error that is foreseen or told later."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner, self.told = inner, False

    def format(self, record: logging.LogRecord) -> str:
        """The text; the record itself stays as it is."""
        shown = copy.copy(record)
        shown.msg, shown.args = folded(record.getMessage(), width_of(sys.stderr)), ()
        if self.told or _is_foreseen(record):
            shown.exc_info = shown.exc_text = None
        return self._inner.format(shown)


def _is_foreseen(record: logging.LogRecord) -> bool:
    from zenml.exceptions import RunInterruptedException, RunStoppedException

    error = record.exc_info[1] if record.exc_info else None
    ended = KeyboardInterrupt, RunInterruptedException, RunStoppedException
    return error is not None and (isinstance(error, ended) or in_words(error) is not None)


def in_words(error: BaseException) -> str | None:
    """What a person is told of an error that can be foreseen: one of ours, or a disk that cannot be written.

    None for any other: that one is a fault of the program, and keeps its traceback.
    """
    if isinstance(error, EntailmentError):
        return str(error)
    fault = disk_fault(error)
    return disk_message(fault, workspace().home) if fault else None
