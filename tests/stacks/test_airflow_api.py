"""What is asked of Airflow and what its answers become, with a stand-in for its server."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from entailment.errors import DataError, ScheduleError
from stacks import airflow_api
from stacks.airflow_api import AirflowApi
from stacks.ports import listens
from stacks.processes import process_start

TOKEN = {"access_token": "t0ken"}


@pytest.fixture
def airflow(tmp_path, monkeypatch):
    """The answers to give, `(status, text)` by method and path, and what was asked: method, path, token, body."""
    answers: dict = {("POST", "/auth/token"): (201, json.dumps(TOKEN))}
    asked: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization")
            asked.append((self.command, self.path, token, json.loads(body) if body else None))
            status, text = answers.get((self.command, self.path), (200, "{}"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("ENTAILMENT_HOME", str(tmp_path))
    (tmp_path / "airflow").mkdir()
    url = f"http://127.0.0.1:{server.server_port}"
    note_server(url, os.getpid(), process_start(os.getpid()))
    airflow_api.password_file().write_text(json.dumps({"admin": "secret"}))
    try:
        yield answers, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def note_server(url, pid, start):
    """As `make airflow` does."""
    airflow_api.server_file().write_text(json.dumps({"url": url, "pid": pid, "start": start}))


def test_a_server_of_a_newer_version_is_not_asked(airflow):
    airflow_api.server_file().write_text(json.dumps({"format": 2, "url": "http://127.0.0.1:9"}))
    with pytest.raises(DataError, match=r"server\.json is of format 2.* newer version"):
        AirflowApi()


def test_it_logs_in_and_asks_with_the_token(airflow):
    answers, asked = airflow
    runs = "/api/v2/dags/nightly/dagRuns?order_by=-run_after&limit=3"
    answers["GET", runs] = 200, json.dumps({"dag_runs": [{"state": "success"}]})
    api = AirflowApi()
    assert api.runs("nightly", limit=3) == [{"state": "success"}]
    api.pause("nightly", True)
    api.end_run("nightly", "scheduled__2026-01-01T00:00:00+00:00")
    run = "scheduled__2026-01-01T00%3A00%3A00%2B00%3A00"
    assert asked == [
        ("POST", "/auth/token", None, {"username": "admin", "password": "secret"}),
        ("GET", runs, "Bearer t0ken", None),
        ("PATCH", "/api/v2/dags/nightly", "Bearer t0ken", {"is_paused": True}),
        ("PATCH", f"/api/v2/dags/nightly/dagRuns/{run}", "Bearer t0ken", {"state": "failed"}),
    ]


def test_what_is_not_there_or_still_runs_is_no_failure(airflow):
    answers, _ = airflow
    api = AirflowApi()
    path = "/api/v2/dags/nightly"
    answers["GET", path] = 404, "{}"
    assert api.dag("nightly") is None
    for status, text in ((404, "{}"), (409, "{}"), (204, "")):
        answers["DELETE", path] = status, text
        assert api.delete("nightly") is None
    answers["DELETE", path] = 500, "broken"
    with pytest.raises(ScheduleError, match=r"refused DELETE /api/v2/dags/nightly: 500 broken"):
        api.delete("nightly")


def test_a_refusal_is_quoted_in_short(airflow):
    answers, _ = airflow
    answers["POST", "/auth/token"] = 401, "Invalid credentials " + "x" * 5000
    with pytest.raises(
        ScheduleError, match=r"refused POST /auth/token: 401 Invalid credentials x"
    ) as refused:
        AirflowApi()
    assert len(str(refused.value)) < 500


def test_no_proxy_is_asked(airflow, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert AirflowApi().dag("nightly") == {}


def test_an_airflow_that_does_not_run_is_named_with_what_starts_it(tmp_path, monkeypatch, airflow):
    note_server("http://127.0.0.1:9", os.getpid(), process_start(os.getpid()))
    with pytest.raises(ScheduleError, match=r"not running at http://127.0.0.1:9 .*make airflow"):
        AirflowApi()
    monkeypatch.setenv("ENTAILMENT_HOME", str(tmp_path / "new"))
    with pytest.raises(ScheduleError, match=r"never started in .*make airflow"):
        AirflowApi()


@pytest.mark.parametrize("what", ["another process", "a reused number", "gone", "an earlier version"])
def test_who_took_the_port_since_gets_no_password(airflow, what):
    _, asked = airflow
    noted = json.loads(airflow_api.server_file().read_text())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        known = {
            "another process": {"pid": other.pid, "start": process_start(other.pid)},
            "a reused number": {"start": noted["start"] - 10},
            "gone": {"pid": 2**30},
            "an earlier version": {"start": 0},
        }
        note_server(**noted | known[what])
        with pytest.raises(
            ScheduleError, match=r"not running at .*make airflow.* listens there.*make airflow"
        ):
            AirflowApi()
        other.communicate()
    assert asked == []


def test_who_takes_the_port_later_gets_no_token(airflow):
    _, asked = airflow
    api = AirflowApi()
    api._process = os.getpid(), 0.0
    with pytest.raises(ScheduleError, match="not running"):
        api.dag("nightly")
    assert len(asked) == 1


def test_a_process_of_the_server_s_has_the_port_too():
    serve = "import socket\nwith socket.create_server(('127.0.0.1', 0)) as server:\n    "
    serve += "print(server.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as part:
        port = int(part.stdout.readline())
        assert listens(os.getpid(), process_start(os.getpid()), port)
        assert listens(part.pid, process_start(part.pid), port)
        assert not listens(part.pid, process_start(part.pid), port + 1)
        part.communicate("\n")
    assert not listens(os.getpid(), process_start(os.getpid()), port)


def test_another_program_s_page_is_no_traceback(airflow):
    answers, _ = airflow
    answers["POST", "/auth/token"] = 200, "<html>"
    with pytest.raises(ScheduleError, match="not running"):
        AirflowApi()
