"""The pages of MLflow's UI that the program names."""

import json
from urllib.parse import unquote

import mlflow
import pytest
from mlflow import MlflowClient

from entailment.errors import RegistryError
from tracking.experiment import prepare_experiment, tracking_uri
from tracking.ui import page_of, page_of_runs


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENTAILMENT_HOME", str(tmp_path_factory.mktemp("home")))
        before = mlflow.get_tracking_uri()
        prepare_experiment("of-tests")
        mlflow.set_experiment("of-tests")
        yield MlflowClient(tracking_uri())
        mlflow.set_tracking_uri(before)


def test_each_run_has_the_page_that_shows_it_best(client):
    """A run alone; one with children side by side; one with a page of its own that page."""
    number = client.get_experiment_by_name("of-tests").experiment_id
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        pass
    of_training = "workflowType=machine_learning"
    assert page_of_runs("of-tests") == f"/#/experiments/{number}/runs?{of_training}"
    alone = f"/#/experiments/{number}/runs/{child.info.run_id}"
    assert page_of(child.info.run_id) == f"{alone}?{of_training}"
    beside = unquote(page_of(parent.info.run_id))
    assert beside.startswith(f"/#/compare-runs?runs={json.dumps([child.info.run_id])}&")
    for run, page in ((parent, "comparison.html"), (child, "crossval.html")):
        client.log_text(run.info.run_id, "<p>all</p>", page)
        own = f"/#/experiments/{number}/runs/{run.info.run_id}/artifacts/{page}?{of_training}"
        assert page_of(run.info.run_id) == own
    with pytest.raises(RegistryError, match="no run nosuch in"):
        page_of("nosuch")
