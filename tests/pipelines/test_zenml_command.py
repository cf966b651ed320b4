"""ZenML's own command line does the main job in the environment that `env` prints."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import STEPS, Workspace

KEPT = """
from zenml.client import Client
client = Client()
run, version = client.list_pipeline_runs(hydrate=True).items[0], client.get_model_version("mine", "1")
linked = client.list_model_version_artifact_links(model_version_id=version.id, size=100).items
shown = [one.type.value for step in run.steps.values() for outputs in step.outputs.values()
         for one in outputs[0].visualizations]
print([tag.name for tag in run.tags], run.model_version.number, len(linked), *sorted(shown))
"""
"""What ZenML knows of the run."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_zenml_pipeline_run_does_the_main_job_and_ours_finds_it_done(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.write_config(write_random_modules(tmp_path / "modules"))
    file = tmp_path / "small.yaml"
    file.write_text(f"model: {{name: mine}}\n{file.read_text()}")
    (tmp_path / "kept.py").write_text(KEPT)
    # What the user's shell has for other projects is in the way of none of it.
    his = {"ZENML_STORE_URL": "http://127.0.0.1:9", "ZENML_STORE_TYPE": "rest", "XLA_FLAGS": "--none"}
    his |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_EXPERIMENT_NAME": "his"}
    printed = workspace.run("env", **his)
    assert printed.returncode == 0, printed.stderr
    (tmp_path / "printed").write_text(printed.stdout)
    zenml = Path(sys.executable).parent / "zenml"
    command = f"{zenml} pipeline run pipelines.training.training -c {file} && {sys.executable} kept.py"
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
    assert done.stdout.splitlines()[-1].startswith(
        "['dataset:pairs.csv', 'inputs:multimodal', 'loss:cross_entropy'] 1 17 csv csv csv csv json"
    )
    assert "markdown" in done.stdout.splitlines()[-1]
    assert workspace.steps_run() == set()
