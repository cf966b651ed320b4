"""The stacks of a home: made once, of ZenML's own flavors; those of homes made earlier are put right."""

import json
import subprocess
import sys

import pytest

from entailment.errors import DataError
from stacks import local
from tests.pipelines.workspace import PROJECT, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OLD = """
import json, sys, types
from stacks import airflow_stack, local
from tracking.experiment import prepare_experiment, tracking_uri
from zenml.client import Client
from zenml.enums import StackComponentType as Type
from zenml.integrations.mlflow import experiment_trackers, flavors, model_registries

gone = sys.modules["stacks.mlflow_components"] = types.ModuleType("stacks.mlflow_components")
flavor = {"name": "entailment_mlflow", "__module__": gone.__name__}
gone.Tracker = type("Tracker", (flavors.MLFlowExperimentTrackerFlavor,), flavor)
gone.Registry = type("Registry", (flavors.MLFlowModelRegistryFlavor,), flavor)
client, name = Client(), f"entailment-{local._home_id()}"
client.create_flavor("stacks.mlflow_components.Tracker", Type.EXPERIMENT_TRACKER)
client.create_flavor("stacks.mlflow_components.Registry", Type.MODEL_REGISTRY)
local.artifact_folder().mkdir(parents=True)
components = {
    Type.ORCHESTRATOR: ("local", {}),
    Type.ARTIFACT_STORE: ("local", {"path": str(local.artifact_folder())}),
    Type.EXPERIMENT_TRACKER: ("entailment_mlflow", {"tracking_uri": tracking_uri()}),
    Type.MODEL_REGISTRY: ("entailment_mlflow", {}),
}
for kind, (flavor, configuration) in components.items():
    client.create_stack_component(name, flavor, kind, configuration)
client.create_stack_component(f"{name}-airflow", "airflow", Type.ORCHESTRATOR, {"local": True})
parts = dict.fromkeys(components, name)
client.create_stack(name, parts)
client.create_stack(f"{name}-airflow", parts | {Type.ORCHESTRATOR: f"{name}-airflow"})
print(json.dumps(sorted(str(stack.id) for stack in client.list_stacks())))
"""
SHOW = """
import json, sys
from stacks.airflow_stack import use_airflow_stack
from stacks.local import use_local_stack
from zenml.client import Client

local = use_local_stack("multimodal-entailment")
tracker = Client().active_stack.experiment_tracker
Client().active_stack.validate()
tracker.cleanup_step_run(None, False)
shown = {
    "uri": tracker.get_tracking_uri(),
    "loaded": [name for name in ("tensorflow", "lightgbm", "statsmodels", "torch") if name in sys.modules],
}
for name in (local, use_airflow_stack("multimodal-entailment")):
    stack = Client().get_stack(name)
    parts = {kind: [part.name, part.flavor_name] for kind, (part, *_) in stack.components.items()}
    shown[name.removeprefix(local)] = {"id": str(stack.id), "name": name, "parts": parts}
shown["stacks"] = sorted(str(stack.id) for stack in Client().list_stacks())
print(json.dumps(shown))
"""


@pytest.fixture
def told(tmp_path):
    """Runs a script in a home of its own and gives what it printed last, as read from JSON."""
    workspace = Workspace(tmp_path)

    def tell(script):
        prepared = f"from stacks.environment import prepare_environment\nprepare_environment()\n{script}"
        done = subprocess.run(
            [sys.executable, "-c", prepared],
            cwd=PROJECT,
            env=workspace.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    tell.uri = workspace.tracking_uri
    return tell


def check(shown, uri):
    assert shown["uri"] == uri
    for name, orchestrator in (("", "local"), ("-airflow", "airflow")):
        parts, local = shown[name]["parts"], shown[""]["name"]
        assert parts["orchestrator"] == [f"{local}{name}", orchestrator]
        assert parts["artifact_store"] == [local, "local"]
        assert parts["experiment_tracker"] == parts["model_registry"] == [local, "mlflow"]
    assert not shown["loaded"], "switching autologging off has imported what was not there"


def test_the_stacks_are_made_once_and_a_step_s_end_imports_nothing(told):
    first = told(SHOW)
    check(first, told.uri)
    assert told(SHOW) == first


def test_the_stacks_of_a_home_made_earlier_are_kept_with_zenml_s_own_tracker(told):
    before = told(OLD)
    shown = told(SHOW)
    check(shown, told.uri)
    assert shown["stacks"] == before and {shown[""]["id"], shown["-airflow"]["id"]} < set(before)


def test_a_home_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ENTAILMENT_HOME", str(tmp_path))
    (tmp_path / "id").write_text(f"0123abcd\n{tmp_path}\n2\n")
    with pytest.raises(DataError, match=r"id is of format 2.* newer version"):
        local.use_local_stack("multimodal-entailment")


def test_a_folder_that_the_user_names_is_the_same_for_processes_that_work_elsewhere(tmp_path):
    script = (
        "import json, os\nfrom stacks.environment import FOLDERS, prepare_environment\n"
        "prepare_environment()\nprint(json.dumps([os.environ[name] for name in FOLDERS]))"
    )
    named = {"ZENML_CONFIG_PATH": "z", "MPLCONFIGDIR": "~/m", "KERAS_HOME": "./k", "TFHUB_CACHE_DIR": "/t"}
    given = Workspace(tmp_path).environment() | named | {"PYTHONPATH": str(PROJECT), "HOME": "/home/him"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout) == [f"{tmp_path}/z", "/home/him/m", f"{tmp_path}/k", "/t"], done.stderr
