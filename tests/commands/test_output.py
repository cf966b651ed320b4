"""How a command ends: what goes where, and with which exit code."""

import errno
import json
import os
import subprocess
import sys

import pytest

from commands.output import results_or_failure
from entailment.errors import ConfigurationError, EntailmentError, NothingNewError
from entailment.workspace import PROJECT


def test_results_go_to_standard_output_and_all_else_to_standard_error():
    """In a process of its own, whose standard output is a buffered pipe."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    code = (
        "import os; from commands.output import print_json, results_or_failure\n"
        "with results_or_failure(as_json=True) as results:\n"
        "    print('noise'); os.write(1, b'from C\\n'); print_json(results, {'a': 1})\n"
        "print('after')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=buffered, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == '{"a": 1}\nafter\n' and done.stderr == "from C\nnoise\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "Interrupted"),
        (EntailmentError("wrong rows"), 1, "wrong rows"),
        (ConfigurationError("wrong key"), 2, "wrong key"),
        (NothingNewError("nothing new"), 3, "nothing new"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/full"),
            1,
            "Cannot read or write /full: No space",
        ),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_failure_is_one_message_with_its_exit_code(capfd, error, code, words, as_json):
    with pytest.raises(SystemExit) as ended, results_or_failure(as_json):
        raise error
    out, err = capfd.readouterr()
    assert ended.value.code == code
    assert err.startswith(f"Error: {words}") and len(err.splitlines()) == 1
    assert json.loads(out)["error"].startswith(words) if as_json else out == ""


def test_what_was_not_foreseen_keeps_its_traceback(capfd):
    with pytest.raises(ZeroDivisionError), results_or_failure(as_json=True):
        raise ZeroDivisionError("oops")
    assert json.loads(capfd.readouterr().out) == {"error": "ZeroDivisionError: oops"}
