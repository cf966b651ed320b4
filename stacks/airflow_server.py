"""Airflow on 127.0.0.1, its home in `$ENTAILMENT_HOME/airflow`: `python -m stacks.airflow_server [--port N]`.

Runs in the foreground until Ctrl-C or SIGTERM, and starts a part of Airflow again that ended.
"""

import argparse
import contextlib
import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

from entailment.errors import ScheduleError
from entailment.files import write_private
from entailment.workspace import PROJECT
from stacks.airflow_api import SERVER_FORMAT, USER, airflow_home, dags_folder, password_file, server_file
from stacks.logs import in_words
from stacks.ports import check_port
from stacks.processes import this_process

PORT: Final = 8080
PARTS: Final = (("api-server", "--workers", "1"), ("scheduler", "--skip-serve-logs"), ("dag-processor",))
"""The log server is left out: logs are read from the disk, and it would listen on every interface."""
_PR_SET_PDEATHSIG: Final = 1
"""Of prctl(2)."""
_GRACE: Final = 20
"""Seconds that a part has to end before it is killed."""


def settings(port: int) -> dict[str, str]:
    """Airflow's settings, as environment variables."""
    url = f"http://127.0.0.1:{port}"
    values = {
        "core": {
            "dags_folder": dags_folder(),
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 4,
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": password_file(),
        },
        "api": {"host": "127.0.0.1", "port": port, "base_url": url, "workers": 1},
        "dag_processor": {"refresh_interval": 5, "min_file_process_interval": 30, "parsing_processes": 1},
        # A task whose process and supervisor are gone is noticed after a minute, not five.
        "scheduler": {"task_instance_heartbeat_timeout": 60, "orphaned_tasks_check_interval": 30},
        "usage_data_collection": {"enabled": False},
        "logging": {"base_log_folder": airflow_home() / "logs"},
    }
    named = {f"AIRFLOW__{s}__{key}".upper(): str(v) for s, keys in values.items() for key, v in keys.items()}
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1")))
    return {"AIRFLOW_HOME": str(airflow_home()), "NO_PROXY": direct, "no_proxy": direct, **named}


def serve(venv: Path, port: int) -> None:
    """Starts Airflow's parts and watches them until a signal ends this process.

    Raises:
        ScheduleError: Airflow is not installed in `venv`, or the database cannot be prepared.
        ServerError: the port is taken.
    """
    airflow = venv / "bin" / "airflow"
    if not airflow.is_file():
        raise ScheduleError(f"There is no Airflow in {venv}. Install it with: make airflow")
    check_port(port, "make airflow PORT=N")
    _prepare_home()
    environment = os.environ | settings(port) | {"PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    if subprocess.run([airflow, "db", "migrate"], env=environment, stdout=subprocess.DEVNULL).returncode:
        raise ScheduleError(f"Airflow's database in {airflow_home()} could not be prepared: see above.")
    noted = {"format": SERVER_FORMAT, "url": f"http://127.0.0.1:{port}", **this_process()}
    write_private(server_file(), json.dumps(noted))
    print(f"http://127.0.0.1:{port}  user {USER}, password in {password_file()}", flush=True)
    parts: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
    started: list[subprocess.Popen[bytes]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        while True:
            for part in PARTS:
                if part not in parts or _has_ended(parts[part]):
                    # What a dead scheduler had started goes on: its step is finished, not lost.
                    parts[part] = _start(airflow, part, environment)
                    started.append(parts[part])
            time.sleep(2)
    finally:
        _end(started)


def _prepare_home() -> None:
    dags_folder().mkdir(parents=True, exist_ok=True)
    airflow_home().chmod(0o700)
    if not password_file().is_file():
        write_private(password_file(), json.dumps({USER: secrets.token_urlsafe(18)}))


def _start(airflow: Path, part: tuple[str, ...], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    print(f"Starting {part[0]}.", flush=True)
    # A session of its own: all that a part started ends with it.
    return subprocess.Popen(
        [airflow, *part], env=environment, start_new_session=True, preexec_fn=_end_with_parent()
    )


def _end_with_parent() -> Callable[[], None] | None:
    """Has Linux end a part, as by SIGTERM, where this process is killed and cannot."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _leave(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _has_ended(part: subprocess.Popen[bytes]) -> bool:
    """Whether a part has ended. While something that it started goes on it is not waited for.

    Until a process is waited for, its number, and that of its group, is given to nobody else.
    """
    if part.returncode is None and psutil.Process(part.pid).status() == psutil.STATUS_ZOMBIE:
        if not _others_in_group(part.pid):
            part.wait()
        return True
    return part.returncode is not None


def _others_in_group(leader: int) -> bool:
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid != leader and os.getpgid(pid) == leader:
                return True
    return False


def _end(parts: list[subprocess.Popen[bytes]]) -> None:
    """Ends the parts, and what they started: only of those that were not waited for are the numbers theirs."""
    for part in parts:
        if part.returncode is None:
            os.kill(part.pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while not all(map(_has_ended, parts)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for part in parts:
        if part.returncode is None:
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()


def main() -> int:
    """Reads the options and serves; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stacks.airflow_server", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"port on 127.0.0.1 [{PORT}]")
    parser.add_argument(
        "--venv", type=Path, default=PROJECT / ".venv-airflow", help="where Airflow is installed"
    )
    options = parser.parse_args()
    try:
        serve(options.venv.absolute(), options.port)
    except Exception as error:
        if (told := in_words(error)) is None:
            raise
        print(f"Error: {told}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
