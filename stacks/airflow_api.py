"""Asking the Airflow of this home, through its REST API on 127.0.0.1."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests

from entailment.errors import ScheduleError
from entailment.files import check_format, read_json
from entailment.workspace import workspace
from stacks.ports import listens

USER: Final = "admin"
SERVER_FORMAT: Final = 1
"""Of `server.json`."""
_TIMEOUT: Final = 60
"""Seconds that Airflow has to answer; its first answer after a start takes some."""
_START: Final = "Start it with: make airflow"


def airflow_home() -> Path:
    """The folder of this home's Airflow."""
    return workspace().home / "airflow"


def dags_folder() -> Path:
    """Where Airflow looks for schedules."""
    return airflow_home() / "dags"


def password_file() -> Path:
    """The passwords of Airflow's users, readable by the owner alone."""
    return airflow_home() / "passwords.json"


def server_file() -> Path:
    """Where the running server notes its address and which process it is; the file outlives it."""
    return airflow_home() / "server.json"


class AirflowApi:
    """A client that has logged in."""

    def __init__(self) -> None:
        """Logs in.

        Raises:
            ScheduleError: Airflow was never started in this home, is not running, or refuses the password.
        """
        if not server_file().is_file() or not password_file().is_file():
            raise ScheduleError(f"Airflow was never started in {workspace().home}. {_START}")
        noted = read_json(server_file())
        check_format(server_file(), noted.get("format", 1), SERVER_FORMAT)
        self.server: str = noted["url"]
        # An earlier version did not note when the process began: nobody passes for it.
        self._process = noted.get("pid", 0), noted.get("start", 0.0)
        self._session = requests.Session()
        # Never through a proxy: the server is on this machine.
        self._session.trust_env = False
        login = {"username": USER, "password": read_json(password_file())[USER]}
        token = self._call("POST", "/auth/token", login)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def dag(self, name: str) -> dict[str, Any] | None:
        """What Airflow knows of a schedule: `is_paused`, `next_dagrun_run_after`, ...; None if nothing."""
        return self._call("GET", f"/api/v2/dags/{quote(name)}", tolerated=(404,))

    def runs(self, name: str, limit: int = 1) -> list[dict[str, Any]]:
        """The last runs of a schedule, newest first: `dag_run_id`, `state`, `start_date`, `end_date`, ..."""
        path = f"/api/v2/dags/{quote(name)}/dagRuns?order_by=-run_after&limit={limit}"
        return self._call("GET", path)["dag_runs"]

    def pause(self, name: str, paused: bool) -> None:
        """Pauses or resumes a schedule; a run that is going waits at its next step meanwhile."""
        self._call("PATCH", f"/api/v2/dags/{quote(name)}", {"is_paused": paused})

    def end_run(self, name: str, run_id: str) -> None:
        """Marks a run as failed, which ends its tasks."""
        self._call("PATCH", f"/api/v2/dags/{quote(name)}/dagRuns/{quote(run_id)}", {"state": "failed"})

    def delete(self, name: str) -> None:
        """Deletes what Airflow's database holds of a schedule; nothing happens while a task of it still runs."""
        self._call("DELETE", f"/api/v2/dags/{quote(name)}", tolerated=(404, 409))

    def import_errors(self) -> list[str]:
        """Why files in the folder of schedules could not be read."""
        return [error["stack_trace"] for error in self._call("GET", "/api/v2/importErrors")["import_errors"]]

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, tolerated: tuple[int, ...] = ()
    ) -> Any:
        """What is answered; None for an empty answer and for a status that is tolerated.

        Password and token go to the Airflow of this home alone: who has taken its port since is not asked.
        """
        if not listens(*self._process, urlsplit(self.server).port or 0):
            raise ScheduleError(
                f"Airflow is not running at {self.server} (no process that make airflow started listens there)."
                f" {_START}"
            )
        try:
            answer = self._session.request(method, self.server + path, json=body, timeout=_TIMEOUT)
            if answer.status_code in tolerated:
                return None
            if not answer.ok:
                said = f"{answer.status_code} {answer.text[:300]}"
                raise ScheduleError(f"Airflow at {self.server} refused {method} {path}: {said}")
            return answer.json() if answer.content else None
        except requests.RequestException as error:
            why = type(error).__name__
            raise ScheduleError(f"Airflow is not running at {self.server} ({why}). {_START}") from error
