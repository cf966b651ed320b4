"""How a command ends: results on standard output, failures as one message (with --json an object) and exit code."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from entailment.errors import EntailmentError
from stacks.logs import in_words

_INTERRUPTED = "Interrupted. No half-written file is kept; run again to go on."
_INTERRUPTIONS = ("RunInterruptedException", "RunStoppedException")
"""What ZenML raises in a step that is told to end, by name: ZenML may not be imported here."""
_HOOK_FAILED = "HookExecutionException"
"""What ZenML raises where a hook of ours has raised an error."""


@contextlib.contextmanager
def results_or_failure(as_json: bool) -> Iterator[TextIO]:
    """Gives the real standard output; whatever else is printed meanwhile goes to standard error.

    Turns failures into one plain message (with --json an object) and the right exit code.
    """
    sys.stdout.flush()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        yield results
    except KeyboardInterrupt:
        _fail(results, as_json, _INTERRUPTED, 130)
    except EntailmentError as error:
        _fail(results, as_json, str(error), error.exit_code)
    except Exception as raised:
        # What a hook raises arrives wrapped.
        error = (type(raised).__name__ == _HOOK_FAILED and raised.__cause__) or raised
        if isinstance(error, EntailmentError):
            _fail(results, as_json, str(error), error.exit_code)
        if type(error).__name__ in _INTERRUPTIONS:
            _fail(results, as_json, _INTERRUPTED, 130)
        if told := in_words(error):
            _fail(results, as_json, told, 1)
        if as_json:
            print_json(results, {"error": f"{type(error).__name__}: {error}"})
        raise
    finally:
        sys.stdout.flush()
        results.flush()
        os.dup2(results.fileno(), 1)


def print_json(results: TextIO, value: dict[str, Any]) -> None:
    """Writes one line of JSON; raises ValueError for a number that JSON does not know (NaN, infinity)."""
    print(json.dumps(value, allow_nan=False), file=results)


def _fail(results: TextIO, as_json: bool, message: str, code: int) -> None:
    if as_json:
        print_json(results, {"error": message})
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(code)
