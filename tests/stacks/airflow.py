"""A real Airflow for the tests, in a home of its own."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.pipelines.workspace import PROJECT, Workspace

REQUIREMENTS = PROJECT / "requirements-airflow.txt"


def airflow_environment(cache: Path) -> Path:
    """The environment that `make airflow` made, if it is up to date; else one in `cache`, made once."""
    made = PROJECT / ".venv-airflow" / "requirements.done"
    if made.is_file() and made.stat().st_mtime >= REQUIREMENTS.stat().st_mtime:
        return made.parent
    folder = cache / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    if not (folder / "done").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", REQUIREMENTS], check=True)
        (folder / "done").touch()
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def server_command(venv: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "stacks.airflow_server", "--venv", str(venv), "--port", str(port)]


@contextmanager
def running_airflow(workspace: Workspace, venv: Path, port: int) -> Iterator[subprocess.Popen]:
    """Airflow in the workspace's home until the block ends; what it printed lies in `airflow.log`."""
    with (workspace.folder / "airflow.log").open("a") as log:
        server = subprocess.Popen(
            server_command(venv, port),
            cwd=PROJECT,
            env=workspace.environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: _answers(port), 120, "Airflow does not answer")
        yield server
    finally:
        server.terminate()
        try:
            server.wait(60)
        finally:
            for process in processes_of(workspace):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def processes_of(workspace: Workspace, *words: str) -> list[psutil.Process]:
    """Every process of this workspace's home, the test itself apart, whose command line holds all the words."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("ENTAILMENT_HOME") == str(workspace.home)
            if ours and process.pid != os.getpid() and set(words) <= set(process.cmdline()):
                found.append(process)
    return found


def wait_until(condition, seconds: float, what: str, pause: float = 1):
    """What `condition` gives as soon as it is true; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} after {seconds} s"
        time.sleep(pause)
    return value


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/version", timeout=5) as answer:
            return "version" in json.load(answer)
    except OSError:
        return False
