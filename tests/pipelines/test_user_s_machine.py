"""The user's machine is his own: his settings, stacks and databases, the paths he chose, runs that he killed."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from entailment.task import LABELS
from tests.pipelines.workspace import PROJECT, small_workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return small_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def first(workspace):
    return workspace.result()


@pytest.fixture
def client(workspace):
    from mlflow import MlflowClient

    return MlflowClient(workspace.tracking_uri)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a folder is made read-only by root")


@as_root
@pytest.mark.parametrize("command", ["train", "add", "promote", "schedule"])
def test_a_home_that_cannot_be_written_is_one_line(first, workspace, command):
    rest = {
        "train": ["--seed", "7"],
        "add": [str(workspace.folder / "data" / "pairs.csv"), "--to", "mine"],
        "promote": ["1"],
        "schedule": ["--list"],
    }
    done = workspace.run(command, *rest[command], read_only=workspace.home)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert (
        line.startswith(f"Error: Cannot read or write {workspace.home}") and "Read-only file system" in line
    )


def test_a_home_that_is_a_file_is_said(workspace, tmp_path):
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        done = workspace.run("promote", "1", ENTAILMENT_HOME=str(home))
        assert done.returncode == 2
        assert (
            done.stderr
            == f"Error: ENTAILMENT_HOME must be a folder. Received: {home}; {tmp_path}/file is a file.\n"
        )


@as_root
def test_what_was_done_before_nothing_could_be_written_is_not_done_again(first, workspace):
    models = workspace.home / "mlartifacts" / "models"
    failed = workspace.run("--epochs", "2", read_only=models)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith(f"Error: Cannot read or write {models}")
    assert workspace.steps_run("--epochs", "2") == {"register"}


def test_home_may_be_unwritable_and_the_user_s_stack_stays_his(workspace):
    """HOME is a folder that nobody, not even root, can write to."""
    environment = {"HOME": "/proc", "ENTAILMENT_HOME": str(workspace.folder / "another")}
    environment |= {"ZENML_CONFIG_PATH": "", "MPLCONFIGDIR": "", "KERAS_HOME": ""}
    assert workspace.run("--inputs", "text", **environment).returncode == 0
    config = (workspace.folder / "another" / "zenml-config" / "config.yaml").read_text()
    active = re.search(r"active_stack_id: (\S+)", config).group(1)
    database = sqlite3.connect(next((workspace.folder / "another" / "zenml-config").rglob("zenml.db")))
    stacks = dict(database.execute("select id, name from stack").fetchall())
    names = {identity.replace("-", ""): name for identity, name in stacks.items()}
    assert names[active.replace("-", "")] == "default"
    assert f"entailment-{(workspace.folder / 'another' / 'id').read_text().split()[0]}" in names.values()


def test_what_the_user_set_for_other_projects_steers_nothing(first, workspace, tmp_path):
    (tmp_path / ".keras").mkdir()
    keras = {"backend": "jax", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(keras))
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    nowhere = "http://127.0.0.1:9"
    his = {
        "HOME": str(tmp_path),
        **{"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "MPL_IGNORE_SYSTEM_FONTS": "1"},
        **{
            "KERAS_BACKEND": "jax",
            "KERAS_HOME": "",
            "TF_USE_LEGACY_KERAS": "1",
            "TF_ENABLE_ONEDNN_OPTS": "0",
        },
        **{"MLFLOW_TRACKING_URI": nowhere, "MLFLOW_REGISTRY_URI": nowhere, "MLFLOW_RUN_ID": "0" * 32},
        **{"MLFLOW_EXPERIMENT_NAME": "his", "MLFLOW_EXPERIMENT_ID": "7"},
        **{"ZENML_STORE_URL": nowhere, "ZENML_ACTIVE_STACK_ID": "0" * 32, "ZENML_CONFIG_PATH": ""},
        "ENTAILMENT_HOME": str(tmp_path / "home"),
    }
    again = workspace.result(**his)
    assert again["metrics"] == first["metrics"]
    assert not (tmp_path / ".config" / "zenml").exists() and (tmp_path / "home" / "zenml-config").is_dir()
    assert [path.name for path in (tmp_path / ".keras").iterdir()] == ["keras.json"]


def test_a_killed_run_is_ended_by_the_next_one(first, workspace, client):
    command = [
        sys.executable,
        str(PROJECT / "run_pipeline.py"),
        "--config",
        str(workspace.folder / "small.yaml"),
    ]
    command += ["--no-cache", "--epochs", "100000"]
    early = subprocess.Popen(command, env=workspace.environment(), stderr=subprocess.PIPE, text=True)
    assert any("Step `ingest` has started" in line for line in early.stderr)
    early.kill()
    early.communicate()
    run = subprocess.Popen(
        command, env=workspace.environment(), cwd=workspace.folder, stderr=subprocess.DEVNULL
    )
    experiment = client.get_experiment_by_name("multimodal-entailment").experiment_id

    def going():
        return client.search_runs([experiment], "attributes.status = 'RUNNING'")

    deadline = time.monotonic() + 200
    while not (going() and "train/loss" in going()[0].data.metrics):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    killed = going()[0].info
    run.kill()
    run.wait()
    (workspace.home / "scratch" / "half").mkdir()
    done = workspace.run("--no-cache")
    assert done.returncode == 0 and f"{killed.run_name} was killed" in done.stderr
    assert not going() and client.get_run(killed.run_id).info.status == "KILLED"
    assert not workspace.left_in_scratch()
    database = sqlite3.connect(next((workspace.folder / "zenml-config").rglob("zenml.db")))
    states = dict(database.execute("select name, status from pipeline_run").fetchall())
    assert states[killed.run_name] == "failed" and "running" not in states.values()


def test_any_character_may_stand_in_a_path(first, workspace, tmp_path):
    folder = tmp_path / "feature%2Flogin?a#b &+ö"
    shutil.copytree(workspace.folder / "data", folder / "data")
    where = {
        "ENTAILMENT_HOME": str(folder / "home"),
        "ZENML_CONFIG_PATH": "",
        **dict.fromkeys(("HOME", "KERAS_HOME", "MPLCONFIGDIR"), str(tmp_path / "user")),
    }
    data = ("--dataset", str(folder / "data" / "pairs.csv"), "--images", str(folder / "data" / "images"))
    there = workspace.result(*data, **where)
    assert there["metrics"] == first["metrics"]
    assert "nothing changed" in workspace.run(*data, **where).stdout
    tuned = workspace.run("tune", "--trials", "1", "--folds", "2", *data, **where)
    assert tuned.returncode == 0, tuned.stderr
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "user"}
    uri = f"sqlite:///{next((tmp_path / 'user' / '.cache' / 'entailment').iterdir())}/mlflow.db"
    loaded = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); import pandas\n"
    loaded += "model = mlflow.pyfunc.load_model('models:/multimodal-entailment@champion')\n"
    loaded += "print(model.predict(pandas.DataFrame({'text_1': ['a'], 'text_2': ['b']}))['label'].item())"
    answer = subprocess.run([sys.executable, "-c", loaded, uri], capture_output=True, text=True, cwd=tmp_path)
    assert answer.stdout.strip() in LABELS, answer.stderr


def test_databases_are_made_whole_and_of_another_version_refused_in_words(workspace, tmp_path):
    home = {"ENTAILMENT_HOME": str(tmp_path), "ZENML_CONFIG_PATH": ""}
    database = tmp_path / "zenml-config" / "local_stores" / "default_zen_store" / "zenml.db"
    (database.parent / ".zenml.db.killed").mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("create table stack (id int)")
    with ThreadPoolExecutor() as pool:  # two first starts at once, after one that was killed
        started = list(pool.map(lambda _: workspace.run("env", config=False, **home), range(2)))
    assert [done.returncode for done in started] == [0, 0], [done.stderr for done in started]
    assert {path.name for path in database.parent.iterdir()} == {"zenml.db", "zenml.db.lock"}
    with sqlite3.connect(database) as connection:
        connection.execute("update alembic_version set version_num = '9.9.9'")
    done = workspace.run(**home)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"The ZenML database in {tmp_path / 'zenml-config'} is of another version" in done.stderr
    stack = workspace.run("--stack", "his")
    assert (
        stack.returncode == 2 and "For a stack in another ZenML folder set ZENML_CONFIG_PATH" in stack.stderr
    )


@pytest.mark.parametrize("last", ["mlflow.register_model", "mlflow.MlflowClient.set_registered_model_alias"])
def test_a_registration_that_was_killed_is_taken_up(first, workspace, client, last):
    """Killed where it would make the version, or give it an alias: the same command makes one version of it."""
    kill = f"""
import mlflow, os, run_pipeline
{last} = lambda *arguments, **options: os.kill(os.getpid(), 9)
run_pipeline.main()
"""
    options = [
        "--config",
        str(workspace.folder / "small.yaml"),
        "--loss",
        "focal",
        "--set",
        f"seed={len(last)}",
    ]
    killed = subprocess.run([sys.executable, "-c", kill, *options], env=workspace.environment(), cwd=PROJECT)
    assert killed.returncode == -9
    before = sum(1 for _ in client.search_model_versions("name='multimodal-entailment'"))
    done = workspace.result(*options[2:])
    versions = client.search_model_versions("name='multimodal-entailment'")
    assert len(versions) == before + (last == "mlflow.register_model")
    (made,) = [version for version in versions if version.run_id == done["run_id"]]
    assert made.tags["whole"] == "true" and client.get_run(made.run_id).info.status == "FINISHED"
    folders = {path.name for path in (workspace.home / "mlartifacts" / "models").iterdir()}
    assert folders == {version.source.rpartition("/")[2] for version in versions}
    assert not workspace.left_in_scratch()
