"""ZenML's own command line does the main job in the environment that `env` prints."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import STEPS, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_zenml_pipeline_run_does_the_main_job_and_ours_finds_it_done(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.write_config(write_random_modules(tmp_path / "modules"))
    # What the user's shell has for other projects is in the way of none of it.
    his = {"ZENML_STORE_URL": "http://127.0.0.1:9", "ZENML_STORE_TYPE": "rest", "XLA_FLAGS": "--none"}
    his |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_EXPERIMENT_NAME": "his"}
    printed = workspace.run("env", **his)
    assert printed.returncode == 0, printed.stderr
    (tmp_path / "printed").write_text(printed.stdout)
    zenml = Path(sys.executable).parent / "zenml"
    command = f"{zenml} pipeline run pipelines.training.training -c {tmp_path / 'small.yaml'}"
    done = subprocess.run(
        ["bash", "-c", f"eval $(cat {tmp_path / 'printed'})\n{command}"],
        cwd=tmp_path,
        env=workspace.environment() | his,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"Step `{step}` has finished" in done.stdout + done.stderr for step in STEPS)
    assert workspace.steps_run() == set()
