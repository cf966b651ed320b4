"""A schedule on real Airflow: two runs, killed processes, grown data, an alert, and nothing left after --delete."""

import json
import os
import signal
import sqlite3
import subprocess

import pytest
from mlflow import MlflowClient

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import PROJECT, Workspace
from tests.stacks.airflow import (
    airflow_environment,
    free_port,
    process_of,
    processes_of,
    running_airflow,
    server_command,
    wait_until,
)
from tests.stacks.webhook import webhook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

PATIENCE = 300
"""Seconds that one thing may take on a busy machine; together they may take what the time-out allows."""


@pytest.fixture(scope="module")
def venv(request):
    return airflow_environment(request.config.cache.mkdir("airflow"))


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path)
    made.write_config(write_random_modules(tmp_path / "modules"))
    return made


def schedule(workspace, *arguments, code=0):
    done = workspace.run("schedule", *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def rows(workspace, query):
    database = next((workspace.folder / "zenml-config").rglob("zenml.db"))
    with sqlite3.connect(database, timeout=30) as connection:
        return connection.execute(query).fetchall()


def run_states(workspace):
    """Status of every run that ZenML links to a schedule, oldest first."""
    query = "select status from pipeline_run r join pipeline_snapshot s on r.snapshot_id = s.id where s.schedule_id"
    return [state for (state,) in rows(workspace, f"{query} is not null order by r.created")]


def attempts(workspace, step):
    return rows(workspace, f"select status from step_run where name = '{step}' order by created")


def test_a_schedule_lives_through_kills_and_goes_away(workspace, venv):
    port, pairs = free_port(), workspace.folder / "data" / "pairs.csv"
    assert "make airflow" in schedule(workspace, "--cron", "* * * * *", code=1)["error"]
    with webhook() as (url, received), running_airflow(workspace, venv, port):
        again = subprocess.run(
            server_command(venv, port),
            cwd=PROJECT,
            env=workspace.environment(),
            capture_output=True,
            text=True,
        )
        assert again.returncode == 1 and f"Port {port}" in again.stderr
        options = [f"--set=schedule.{key}" for key in ("retries=1", "retry_delay=1", f"alert_url={url}")]
        made = schedule(
            workspace, "--cron", "* * * * *", "--name", "nightly", "--inputs", "text", "--no-cache", *options
        )["schedules"][0]
        assert (made["name"], made["state"], made["cron"]) == ("nightly", "active", "* * * * *")
        assert made["next_run"].endswith("+00:00")

        step = wait_until(
            lambda: process_of(workspace, "stacks.step_entrypoint", "train"), PATIENCE, "no training"
        )
        wait_until(lambda: attempts(workspace, "train"), PATIENCE, "training did not begin")
        os.kill(step, signal.SIGKILL)
        pairs.write_text(pairs.read_text() + "new_1,Rain tonight.,,new_2,A dry night.,,Contradictory\n")
        wait_until(lambda: run_states(workspace)[:1] == ["completed"], PATIENCE, "no first run")
        assert attempts(workspace, "train")[:2] == [("retried",), ("completed",)]

        wait_until(
            lambda: process_of(workspace, "stacks.step_entrypoint", "ingest"), PATIENCE, "no second run"
        )
        os.kill(process_of(workspace, "scheduler"), signal.SIGKILL)
        wait_until(lambda: run_states(workspace)[:2] == ["completed"] * 2, PATIENCE, "no second run")
        pairs.write_text("no,table\n")
        check_two_runs(workspace)

        wait_until(lambda: received, PATIENCE, "no alert")
        assert list(received[0]) == ["text"] and "'nightly' failed" in received[0]["text"]
        paused = schedule(workspace, "--pause", "nightly")["schedules"][0]
        assert (paused["state"], paused["next_run"]) == ("paused", None)
        assert schedule(workspace, "--resume", "nightly")["schedules"][0]["state"] == "active"
        assert schedule(workspace, "--delete", "nightly") == {"schedules": []}
        assert not list((workspace.home / "airflow" / "dags").iterdir())
    assert processes_of(workspace) == []
    assert "not running" in schedule(workspace, "--list", code=1)["error"]


def check_two_runs(workspace):
    listed = schedule(workspace, "--list")["schedules"][0]
    assert listed["pipeline"] == "training" and listed["last_state"] in ("success", "running", "failed")
    assert [run["status"] for run in listed["runs"]][-2:] == ["completed"] * 2
    client = MlflowClient(workspace.tracking_uri)
    experiment = client.get_experiment_by_name("multimodal-entailment").experiment_id
    second, first = client.search_runs([experiment])
    assert first.data.tags["dataset.sha256"] != second.data.tags["dataset.sha256"]
    for run in (first, second):
        assert run.info.status == "FINISHED" and "test_macro_f1" in run.data.metrics
        history = client.get_metric_history(run.info.run_id, "train_loss")
        assert [point.step for point in history] == [0, 1, 2]
    assert len(client.search_model_versions("name='multimodal-entailment'")) == 2
