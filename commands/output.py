"""How a command ends: results on standard output, failures as one message (with --json an object) and exit code."""

import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Final, NoReturn, TextIO

from entailment.errors import EntailmentError
from entailment.workspace import workspace
from stacks.logs import in_words
from stacks.terminal import folded, width_of

_INTERRUPTED: Final = "Interrupted. No half-written file is kept; run again to go on."
_INTERRUPTIONS: Final = ("RunInterruptedException", "RunStoppedException")
"""What ZenML raises in a step that is told to end, by name: ZenML may not be imported here."""
_STANDARD_OUTPUT: Final = "standard output"
_NO_SUCH_USER: Final = "Could not determine home directory."
"""What pathlib says of `~nobody`."""
_HOOK_FAILED: Final = "HookExecutionException"
"""What ZenML raises where a hook of ours has raised an error."""


@contextlib.contextmanager
def results_or_failure(as_json: bool) -> Iterator[TextIO]:
    """Gives the real standard output; whatever else is printed meanwhile goes to standard error.

    Turns failures into one plain message (with --json an object) and the right exit code. The traceback of one that
    was not foreseen is kept in the home, in `traceback.txt`.
    """
    sys.stdout.flush()
    results = io.TextIOWrapper(
        io.BufferedWriter(_StandardOutput(os.dup(1), "w")), encoding="utf-8", line_buffering=os.isatty(1)
    )
    os.dup2(2, 1)
    try:
        yield results
        results.flush()
    except KeyboardInterrupt:
        _fail(results, as_json, _INTERRUPTED, 130)
    except Exception as raised:
        if isinstance(raised, BrokenPipeError) and raised.filename == _STANDARD_OUTPUT:
            sys.exit(1)  # who read it has seen enough
        # What a hook raises arrives wrapped.
        error = (type(raised).__name__ == _HOOK_FAILED and raised.__cause__) or raised
        _fail(results, as_json, *_told(error))
    finally:
        sys.stdout.flush()
        os.dup2(results.fileno(), 1)
        with contextlib.suppress(OSError):
            results.close()


class _StandardOutput(io.FileIO):
    """A file whose errors say what it is."""

    def write(self, data: Any, /) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _STANDARD_OUTPUT
            raise


def _told(error: BaseException) -> tuple[str, int]:
    """What is said of an error, and the exit code."""
    if isinstance(error, EntailmentError):
        return str(error), error.exit_code
    if type(error).__name__ in _INTERRUPTIONS:
        return _INTERRUPTED, 130
    if isinstance(error, OSError) and error.filename == _STANDARD_OUTPUT:
        return f"Cannot write to {_STANDARD_OUTPUT}: {error.strerror}.", 1
    if told := in_words(error):
        return told, 1
    if isinstance(error, RuntimeError) and str(error) == _NO_SUCH_USER:
        return "A path begins with ~ and the name of a user that there is not. Write it in full.", 2
    first = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    if isinstance(error, OSError) and error.filename:
        if not (home := workspace().home).is_dir():
            told = f"The home {home} cannot be made: {error.strerror}."
            return f"{told} Set ENTAILMENT_HOME to a folder that can.", 1
        first = f"Cannot read or write {error.filename}: {error.strerror}"
    return f"{first} (not foreseen; {_traceback_of(error)})", 1


def _traceback_of(error: BaseException) -> str:
    """Where the traceback is now; raises nothing, whatever the home is."""
    text = "".join(traceback.format_exception(error))
    try:
        file = workspace().home / "traceback.txt"
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except Exception:  # a home that is none, or cannot be written
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr)
        return "the traceback stands above"
    return f"the traceback is in {file}"


def print_json(results: TextIO, value: dict[str, Any]) -> None:
    """Writes one line of JSON; raises ValueError for a number that JSON does not know (NaN, infinity)."""
    print(json.dumps(value, allow_nan=False), file=results)


def print_text(results: TextIO, text: str) -> None:
    """Writes text for a person: folded in a terminal, but for commands, which can be copied whole."""
    width = width_of(results)
    lines = text.split("\n")
    print(
        "\n".join(line if "run_pipeline.py " in line else folded(line, width) for line in lines), file=results
    )


def print_error(message: str) -> None:
    """Writes the one message that a failed command ends with."""
    print(folded(f"Error: {message}", width_of(sys.stderr)), file=sys.stderr)


def _fail(results: TextIO, as_json: bool, message: str, code: int) -> NoReturn:
    if as_json:
        with contextlib.suppress(OSError):
            print_json(results, {"error": message})
    print_error(message)
    sys.exit(code)
