"""How a command ends: what goes where, and with which exit code."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands.output import results_or_failure
from entailment.errors import ConfigurationError, EntailmentError, NothingNewError
from entailment.workspace import PROJECT, workspace
from tests.terminal import in_a_terminal


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            FileExistsError(errno.EEXIST, "File exists", "/home/a-file"),
            "Cannot read or write /home/a-file: File exists (not foreseen; the traceback is in {home}",
        ),
        (
            BrokenPipeError(errno.EPIPE, "Broken pipe"),
            "BrokenPipeError: [Errno 32] Broken pipe (not foreseen",
        ),
        (KeyError("gone"), "KeyError: 'gone' (not foreseen; the traceback is in {home}/traceback.txt)"),
        (ValueError("one\n[SQL: select ...]"), "ValueError: one (not foreseen; the traceback is in {home}"),
    ],
)
def test_what_was_not_foreseen_is_one_line_too_and_its_traceback_is_kept(
    capfd, tmp_path, monkeypatch, error, said
):
    monkeypatch.setenv("ENTAILMENT_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended, results_or_failure(as_json=True):
        raise error
    out, err = capfd.readouterr()
    assert ended.value.code == 1 and len(err.splitlines()) == 1
    assert json.loads(out)["error"].startswith(said.format(home=tmp_path))
    kept = tmp_path / "traceback.txt"
    assert kept.is_file() == ("not foreseen" in said) and (
        not kept.is_file() or "Traceback" in kept.read_text()
    )


def test_a_home_that_cannot_be_made_and_a_user_that_there_is_not_are_one_line(capfd, monkeypatch):
    monkeypatch.setenv("ENTAILMENT_HOME", "/proc/none")
    for make, code in ((lambda: workspace().scratch, 1), (lambda: Path("~nosuchuser").expanduser(), 2)):
        with pytest.raises(SystemExit) as ended, results_or_failure(as_json=False):
            make()
        said = capfd.readouterr().err
        assert ended.value.code == code and len(said.splitlines()) == 1
        assert said.startswith(("Error: The home /proc/none cannot be made", "Error: A path begins with ~"))


@pytest.mark.parametrize("home", ["/proc/none", "~nosuchuser/x"])
def test_where_the_home_cannot_be_written_the_traceback_is_shown(capfd, monkeypatch, home):
    monkeypatch.setenv("ENTAILMENT_HOME", home)
    with pytest.raises(SystemExit), results_or_failure(as_json=False):
        raise KeyError("gone")
    *above, last = capfd.readouterr().err.splitlines()
    assert above[0].startswith("Traceback") and last.endswith("(not foreseen; the traceback stands above)")


@pytest.mark.parametrize(
    ("target", "said"),
    [("| head -0", ""), (">/dev/full", "Error: Cannot write to standard output: No space left on device.\n")],
)
def test_a_reader_that_leaves_and_a_full_disk(target, said):
    code = (
        "from commands.output import results_or_failure\n"
        "with results_or_failure(as_json=False) as results:\n    print('a' * 100_000, file=results)"
    )
    command = f'{sys.executable} -c "$CODE" {target}'
    done = subprocess.run(
        ["sh", "-c", command], cwd=PROJECT, env=os.environ | {"CODE": code}, capture_output=True, text=True
    )
    assert done.stderr == said and done.returncode == (1 if said else 0)


def test_in_a_terminal_text_is_folded_between_words_and_commands_stay_whole():
    command = f"Next      python run_pipeline.py ui --run {'a' * 60}"
    code = (
        "from commands.output import print_text, results_or_failure\n"
        "from entailment.errors import DataError\n"
        "with results_or_failure(as_json=False) as results:\n"
        f"    print_text(results, 'Done      ' + 'step, ' * 20 + {chr(10) + command!r})\n"
        "    raise DataError('wrong row, ' * 15)"
    )
    done, rest, next_one, *error = in_a_terminal(80, [sys.executable, "-c", code])
    assert done == "Done      " + " ".join(["step,"] * 11) and rest == " " * 10 + " ".join(["step,"] * 9)
    assert next_one == command
    assert error[0].startswith("Error: wrong row,") and all(len(line) <= 80 for line in error)
    assert " ".join(error).split() == ["Error:", *["wrong", "row,"] * 15]


def test_an_interruption_that_is_swallowed_comes_again():
    """As one that falls into a destructor, or into a library's callback."""
    script = (
        "import signal, sys, time, run_pipeline\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "sys.unraisablehook = run_pipeline._again\n"
        "class Closed:\n"
        "    def __del__(self): raise KeyboardInterrupt\n"
        "Closed()\n"
        "print('goes on', flush=True)\n"
        "time.sleep(60)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=50
    )
    assert ended.stdout == "goes on\n" and ended.stderr.rstrip().endswith("KeyboardInterrupt")
