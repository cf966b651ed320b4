"""The processes of Airflow's parts: who is ended, who is not; and files that only their owner reads."""

import os
import stat
import subprocess
import sys

import psutil
import pytest

from entailment.files import write_private
from entailment.workspace import PROJECT
from stacks import airflow_server
from tests.stacks.airflow import wait_until


def part(script):
    return subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True)


def has_ended(started):
    """As soon as it has; a zombie is waited for by nobody else."""
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    return airflow_server._has_ended(started)


def test_what_a_dead_part_started_is_ended_at_the_end():
    with part("sleep 300 & echo $!") as dead:
        step = psutil.Process(int(dead.stdout.readline()))
        assert has_ended(dead) and dead.returncode is None
        assert step.is_running()
        airflow_server._end([dead])
        assert step.wait(30) is None and dead.returncode == 0


def is_gone(process):
    """Also where nobody waits for it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
def test_what_was_started_ends_where_the_server_is_killed(tmp_path):
    airflow = tmp_path / "airflow"
    airflow.write_text("#!/bin/sh\nexec sleep 300\n")
    airflow.chmod(0o700)
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom stacks.airflow_server import _start\n"
        "print(_start(Path(sys.argv[1]), ('scheduler',), {**os.environ}).pid, flush=True)\ntime.sleep(300)"
    )
    command = [sys.executable, "-c", code, str(airflow)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "Starting scheduler.\n"
        scheduler = psutil.Process(int(server.stdout.readline()))
        server.kill()
    wait_until(lambda: is_gone(scheduler), 30, "it goes on")


def test_the_number_of_a_part_that_is_gone_is_signalled_no_more(monkeypatch):
    with part("exit 3") as gone:
        assert has_ended(gone) and gone.returncode == 3
    for signals in ("kill", "killpg"):
        monkeypatch.setattr(os, signals, lambda *given: pytest.fail(f"a signal to a stranger: {given}"))
    airflow_server._end([gone])


def test_a_private_file_is_private_from_its_first_byte(tmp_path, monkeypatch):
    seen = []
    write = type(tmp_path).write_text

    def looked_at(path, *given, **options):
        seen.append(stat.S_IMODE(path.stat().st_mode))
        return write(path, *given, **options)

    monkeypatch.setattr(type(tmp_path), "write_text", looked_at)
    write_private(tmp_path / "password", "secret")
    assert [*seen, stat.S_IMODE((tmp_path / "password").stat().st_mode)] == [0o600, 0o600]
