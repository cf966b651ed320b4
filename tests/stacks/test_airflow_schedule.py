"""A retraining on a real Airflow: better data, killed processes, nothing new, an alert, nothing left."""

import json
import sqlite3
import subprocess

import pytest
from mlflow import MlflowClient

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.growing_data import SETTINGS, write_rows
from tests.pipelines.workspace import PROJECT, Workspace, write_settings
from tests.stacks.airflow import (
    airflow_environment,
    free_port,
    processes_of,
    running_airflow,
    server_command,
    wait_until,
)
from tests.stacks.webhook import webhook

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(1500)]

PATIENCE = 600
"""Seconds that one thing may take on a busy machine; together they may take what the time-out allows."""


@pytest.fixture(scope="module")
def venv(request):
    return airflow_environment(request.config.cache.mkdir("airflow"))


@pytest.fixture
def workspace(tmp_path):
    modules = write_random_modules(tmp_path / "modules")
    write_settings(tmp_path / "small.yaml", SETTINGS.format(**modules))
    with (tmp_path / "small.yaml").open("a") as file:
        file.write("tags: [nightly]\n")
    return Workspace(tmp_path)


def add(workspace, start, count, **options):
    file = write_rows(workspace.folder / "rows.csv", start, count, **options)
    done = workspace.run("add", file, "--to", "mine", "--json", config=False)
    assert done.returncode == 0, done.stderr


def schedule(workspace, *arguments, code=0):
    done = workspace.run("schedule", *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def rows(database, query):
    with sqlite3.connect(database, timeout=30) as connection:
        return connection.execute(query).fetchall()


def zenml_rows(workspace, query):
    return rows(next((workspace.folder / "zenml-config").rglob("zenml.db")), query)


def run_states(workspace):
    """Status of every run that ZenML links to a schedule, oldest first."""
    query = "select status from pipeline_run r join pipeline_snapshot s on r.snapshot_id = s.id where s.schedule_id"
    return [state for (state,) in zenml_rows(workspace, f"{query} is not null order by r.created")]


def attempts(workspace, step):
    """Status of every attempt at a step, the newest first."""
    query = f"select status from step_run where name = '{step}' order by created desc"
    return [status for (status,) in zenml_rows(workspace, query)]


def going(workspace, step):
    return processes_of(workspace, "stacks.step_entrypoint", step)


def epochs_logged(workspace):
    return rows(workspace.home / "mlflow.db", "select count(*) from metrics where key = 'train/loss'")[0][0]


def skipped(workspace):
    """Runs of Airflow whose steps were skipped."""
    query = "select run_id from task_instance where task_id = 'train' and state = 'skipped'"
    return rows(workspace.home / "airflow" / "airflow.db", query)


def champion(workspace):
    """Number of the champion and of the newest version."""
    client = MlflowClient(workspace.tracking_uri)
    aliases = client.get_registered_model("multimodal-entailment").aliases
    versions = client.search_model_versions("name='multimodal-entailment'")
    return int(aliases["champion"]), max(int(version.version) for version in versions)


def test_a_schedule_moves_the_champion_lives_through_kills_and_goes_away(workspace, venv):
    options = ["--cron", "* * * * *", "--name", "often", "--dataset", "mine"]
    add(workspace, 0, 60)
    assert "make airflow" in schedule(workspace, *options, code=1)["error"]
    with webhook() as (url, received), running_airflow(workspace, venv, free_port()):
        check_the_port_is_taken(workspace, venv)
        first = workspace.run("retrain", "--dataset", "mine", "--epochs", "40")
        assert first.returncode == 0 and champion(workspace) == (1, 1), first.stderr
        add(workspace, 60, 120)
        options += [f"--set=schedule.{key}" for key in ("retries=1", "retry_delay=1", f"alert_url={url}")]
        made = schedule(workspace, *options)["schedules"][0]
        assert (made["name"], made["pipeline"], made["state"]) == ("often", "retraining", "active")
        assert made["next_run"].endswith("+00:00")

        a_killed_scheduler(workspace)
        a_killed_step(workspace)
        the_champion_has_moved(workspace)
        wait_until(lambda: skipped(workspace), PATIENCE, "no run was skipped")
        assert run_states(workspace) == ["completed"] and champion(workspace) == (2, 2)
        assert not received

        (workspace.folder / "modules" / "text").rename(workspace.folder / "gone")
        add(workspace, 180, 3)
        wait_until(lambda: received, PATIENCE, "no alert")
        assert list(received[0]) == ["text"] and "'often' failed at look" in received[0]["text"]
        assert run_states(workspace) == ["completed", "failed"]
        assert schedule(workspace, "--delete", "often") == {"schedules": []}
        assert not list((workspace.home / "airflow" / "dags").iterdir())
    assert processes_of(workspace) == []
    assert "not running" in schedule(workspace, "--list", code=1)["error"]


def check_the_port_is_taken(workspace, venv):
    port = json.loads((workspace.home / "airflow" / "server.json").read_text())["url"].rpartition(":")[2]
    again = subprocess.run(
        server_command(venv, port), cwd=PROJECT, env=workspace.environment(), capture_output=True, text=True
    )
    assert again.returncode == 1 and f"Port {port}" in again.stderr


def a_killed_scheduler(workspace):
    wait_until(lambda: going(workspace, "ingest"), PATIENCE, "no run")
    processes_of(workspace, "scheduler")[0].kill()
    paused = schedule(workspace, "--pause", "often")["schedules"][0]
    assert (paused["state"], paused["next_run"]) == ("paused", None)
    assert schedule(workspace, "--resume", "often")["schedules"][0]["state"] == "active"


def a_killed_step(workspace):
    before = epochs_logged(workspace)
    (step,) = wait_until(lambda: going(workspace, "train"), PATIENCE, "no training")
    wait_until(lambda: epochs_logged(workspace) > before, PATIENCE, "training did not begin", pause=0.05)
    step.kill()


def the_champion_has_moved(workspace):
    wait_until(lambda: run_states(workspace) == ["completed"], PATIENCE, "the run did not end")
    assert attempts(workspace, "train")[:2] == ["completed", "retried"]
    assert champion(workspace) == (2, 2)
    client = MlflowClient(workspace.tracking_uri)
    run = client.get_run(client.get_model_version("multimodal-entailment", "2").run_id)
    assert run.info.status == "FINISHED" and run.data.tags["dataset.version"] == "2"
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, 61))
    assert ("nightly",) in zenml_rows(workspace, "select name from tag")
    listed = schedule(workspace, "--list")["schedules"][0]
    assert [run["status"] for run in listed["runs"]] == ["completed"]
    assert listed["last_state"] in ("success", "running")
