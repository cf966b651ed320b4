"""Runs that are killed at random moments: the same command again gives what an undisturbed one gives.

ENTAILMENT_KILLS says how many (4).
"""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.pipelines.workspace import PROJECT, small_workspace

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("ENTAILMENT_KILLS", "4"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def undisturbed(workspace):
    """What a run gives in a home of its own, the names of what it leaves, and how long it takes."""
    start = time.monotonic()
    result = run(workspace, "undisturbed")
    return result, names(workspace.folder / "undisturbed"), time.monotonic() - start


def variables(workspace, name):
    home = workspace.folder / name
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    return {"ENTAILMENT_HOME": str(home), "ZENML_CONFIG_PATH": "", "TMPDIR": str(home / "tmp")}


def run(workspace, name):
    return workspace.result(**variables(workspace, name))


def names(home):
    """What lies directly in a home and in its folders for the moment; the runs to the end are forked processes, which
    have imported Keras elsewhere and do not clear away what TensorFlow does at its end.
    """
    found = {path.name for folder in (home, home / "scratch", home / "tmp") for path in folder.iterdir()}
    return {name for name in found if not name.startswith("__autograph")} - {"keras"}


def statuses(home):
    found = []
    for file, query in (
        (home / "mlflow.db", "select status from runs"),
        (next((home / "zenml-config").rglob("zenml.db")), "select status from pipeline_run"),
    ):
        with sqlite3.connect(file) as database:
            found += [status.lower() for (status,) in database.execute(query)]
    return found


def judged_by_nobody(home):
    """Runs that count as finished and have no figures."""
    judged = "select 1 from latest_metrics where run_uuid = runs.run_uuid and key = 'test/accuracy'"
    with sqlite3.connect(home / "mlflow.db") as database:
        query = f"select run_uuid from runs where status = 'FINISHED' and not exists ({judged})"
        return database.execute(query).fetchall()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_is_made_good_by_the_same_command(workspace, undisturbed, seed):
    expected, left, seconds = undisturbed
    home, after = workspace.folder / f"killed-{seed}", random.Random(seed).uniform(0.1, seconds)
    command = [
        sys.executable,
        str(PROJECT / "run_pipeline.py"),
        "--config",
        str(workspace.folder / "small.yaml"),
    ]
    environment = workspace.environment() | variables(workspace, home.name)
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(after)
    killed.kill()
    killed.wait()
    result = run(workspace, home.name)
    assert result["metrics"] == expected["metrics"], f"killed after {after:.2f} s"
    assert result["model_version"] == "1" and names(home) == left, f"killed after {after:.2f} s"
    assert "running" not in statuses(home) and not judged_by_nobody(home), f"killed after {after:.2f} s"
    models = home / "mlartifacts" / "models"
    assert len(list(models.iterdir())) == 1, f"killed after {after:.2f} s"
    shutil.rmtree(home)
