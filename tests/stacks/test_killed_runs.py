"""Which runs count as killed: by their process, their host and their stack."""

import os
import subprocess
from types import SimpleNamespace

import pytest

from stacks.killed_runs import _was_killed
from stacks.processes import process_start, this_process


@pytest.fixture(scope="module")
def ended():
    started = subprocess.Popen(["sleep", "60"])
    noted = this_process() | {"pid": started.pid, "start": process_start(started.pid)}
    started.kill()
    started.wait()
    return noted


ALIVE = this_process()
ELSEWHERE = {"host": "a-container", "system": "another"}


@pytest.mark.parametrize(
    ("noted", "steps", "of_this_home", "killed"),
    [
        ({}, {}, True, True),
        ({}, {}, False, True),
        (ALIVE, {"look": 1}, True, False),
        # The home is held by who asks: a container that had it, under whatever name, is gone.
        (ELSEWHERE, {"look": 1}, True, True),
        (ELSEWHERE, {}, True, False),
        # Elsewhere a machine may be called as this one is.
        (ELSEWHERE, {"look": 1}, False, False),
        ({"system": "another"}, {"look": 1}, False, False),
        # The machine was started anew.
        ({"system": "an earlier start"}, {}, True, True),
    ],
)
def test_a_run_is_killed_where_its_process_is_known_to_have_ended(ended, noted, steps, of_this_home, killed):
    extra = {"entailment_process": ended | noted}
    run = SimpleNamespace(config=SimpleNamespace(extra=extra), schedule=None, steps=steps)
    assert _was_killed(run, of_this_home) == killed
    run.schedule = "nightly"
    assert not _was_killed(run, of_this_home)


def test_what_an_earlier_version_noted_is_understood(ended):
    old = {key: value for key, value in ended.items() if key != "system"}
    run = SimpleNamespace(config=SimpleNamespace(extra={"entailment_process": old}), schedule=None, steps={})
    assert _was_killed(run, True) and not _was_killed(run, False)


def test_a_process_is_told_from_others_of_its_number():
    assert this_process() == ALIVE and ALIVE["pid"] == os.getpid() and ALIVE["system"]
