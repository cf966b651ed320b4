"""What is logged to standard error, and how."""

import copy
import importlib.util
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from entailment.disks import disk_fault, disk_message
from entailment.errors import EntailmentError
from entailment.terminal import folded, width_of
from entailment.workspace import workspace

_OURS: Final = ("entailment", "steps", "stacks", "tracking", "pipelines")
_SETTING_UP: Final = (
    *(
        "Initializing the ZenML global",
        "Creating database tables",
        "Creating default ",
        "Setting the global ",
    ),
    *("Initiating a new run", "Registered new pipeline", "Using user: ", "Using stack: ", "  "),
    *("Executing the pipeline's ", "Caching is disabled by default"),
    # The dashboard is not among the pinned packages: `zenml login --local` ends with a traceback.
    "You can visualize your pipeline runs",
)
"""How those messages of ZenML begin that say how it sets itself up."""
_START_UP: Final = r"^(I0000 |WARNING: All log messages before absl::InitializeLog)"
"""What TensorFlow's libraries write while they are loaded, whatever TF_CPP_MIN_LOG_LEVEL says."""


def quiet_libraries(*, told: bool = False) -> None:
    """Shows the steps, our own progress and other libraries' warnings; nothing of how libraries set themselves up.

    Errors raised on purpose lose their traceback. `told`: who calls this says at the end why a step failed, so that
    it is not said here. In a terminal lines are folded between words.
    """
    from zenml.logger import ZenMLConsoleHandler

    set_log_levels()
    for handler in logging.getLogger().handlers:
        # What ZenML keeps of a step's log, by another handler, stays whole.
        if isinstance(handler, ZenMLConsoleHandler):
            _adapt(handler, told)
    if "tensorflow" not in sys.modules and not any(isinstance(one, _TensorFlow) for one in sys.meta_path):
        sys.meta_path.insert(0, _TensorFlow())


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
    return not (record.name.startswith("zenml.") and record.getMessage().startswith(_SETTING_UP))


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


class _TensorFlow(MetaPathFinder):
    """Has TensorFlow imported without the lines that its libraries write while they are loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """That of the package `tensorflow`, once."""
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                with _without_start_up_lines():
                    execute(module)

            spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


@contextmanager
def _without_start_up_lines() -> Iterator[None]:
    """What else is written to standard error comes through another process, so also where this one dies."""
    command, alike = ["grep", "-vE", _START_UP], os.environ | {"LC_ALL": "C"}
    try:
        rest = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=2, bufsize=0, env=alike, start_new_session=True
        )
    except OSError:
        yield
        return
    kept, pipe = os.dup(2), rest.stdin
    assert pipe is not None
    os.dup2(pipe.fileno(), 2)
    pipe.close()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        with suppress(subprocess.TimeoutExpired):  # another child may have the pipe open
            rest.wait(timeout=2)
