"""Who holds the home, and what is left in it."""

import subprocess
import sys

import pytest

from entailment.workspace import PROJECT

RUN = """
import signal, sys, tempfile
from pathlib import Path
from stacks.home_lock import hold_home, release_home

hold_home()
Path(tempfile.mkdtemp(), "half").write_text("half")
Path(tempfile.mkstemp()[1]).write_text("half")
if sys.argv[1] == "released":
    release_home()
    print(len(list(Path(sys.argv[2], "scratch").iterdir())))
elif sys.argv[1] == "SIGTERM":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.raise_signal(signal.SIGTERM)
else:
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("end", ["released", "SIGINT", "SIGTERM"])
def test_nothing_is_left_in_scratch_however_a_run_ends(tmp_path, monkeypatch, end):
    monkeypatch.setenv("ENTAILMENT_HOME", str(tmp_path))
    command = [sys.executable, "-c", RUN, end, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == (end == "released") and done.stdout.strip() in ("0", "")
    assert not list((tmp_path / "scratch").iterdir())
