"""The comparison through the command line: one parent, a child a variant, failures kept, nothing registered."""

import json
import socket
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from entailment.configuration.loading import load_configuration
from entailment.losses import LOSSES
from entailment.reporting.markdown import plain
from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import Workspace, logged_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TEXTS = ("compare", "--inputs", "text")
FAILING = ("compare", "--inputs", "text", "--set", "training.class_weights=[1.0e+38, 1.0e+38, 1.0e+38]")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    made = Workspace(folder)
    made.write_config(write_random_modules(folder / "modules"))
    return made


@pytest.fixture(scope="module")
def first(workspace):
    return workspace.result(*TEXTS)


@pytest.fixture
def client(workspace):
    from mlflow import MlflowClient

    return MlflowClient(workspace.tracking_uri)


def runs(workspace):
    return sqlite3.connect(workspace.home / "mlflow.db").execute("select count(*) from runs").fetchone()[0]


def test_a_child_for_each_variant_stands_alone(first, workspace, client):
    assert [(v["inputs"], v["loss"]) for v in first["variants"]] == [("text", loss) for loss in LOSSES]
    configuration = load_configuration(workspace.folder / "small.yaml", overrides={"inputs": "text"})
    for variant in first["variants"]:
        run = client.get_run(variant["run_id"])
        assert run.data.params == logged_settings(configuration) | {"training.loss": variant["loss"]}
        assert run.data.tags["mlflow.parentRunId"] == first["parent_run_id"]
        assert (run.data.tags["inputs"], run.data.tags["loss"]) == ("text", variant["loss"])
        assert {"dataset", "dataset.sha256", "encoder.text", "data.generated"} <= set(run.data.tags)
        assert {name: run.data.metrics[name] for name in variant["metrics"]} == variant["metrics"]
        assert {"test/macro_f1", "baseline/majority_accuracy"} <= set(variant["metrics"])
        assert {"baseline/words_macro_f1", "baseline/words_difference_low"} <= set(variant["metrics"])
        assert [p.step for p in client.get_metric_history(variant["run_id"], "val/loss")] == [1, 2, 3]
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"text {variant['loss'].replace('_', ' ')}"
        figures = f"Test: macro-F1 {variant['metrics']['test/macro_f1']:.3f} (95% interval "
        assert figures in run.data.tags["mlflow.note.content"]
        assert [entry.dataset.name for entry in run.inputs.dataset_inputs] == ["pairs.csv"]
    parent = client.get_run(first["parent_run_id"])
    assert parent.info.run_name.startswith("compare text 3 variants pairs_csv 20")


def test_the_parent_holds_the_table(first, client):
    files = {item.path for item in client.list_artifacts(first["parent_run_id"])}
    assert {"comparison.csv", "comparison.md", "comparison.png", "comparison.html"} <= files
    assert {"confusion_matrices.png", "training_curves.png"} <= files
    metrics = client.get_run(first["parent_run_id"]).data.metrics
    best = max(variant["metrics"]["test/macro_f1"] for variant in first["variants"])
    assert metrics["best/macro_f1"] == pytest.approx(best)
    assert metrics["variants/compared"] == len(LOSSES) and metrics["variants/failed"] == 0
    page = Path(client.download_artifacts(first["parent_run_id"], "comparison.html")).read_text()
    assert first["parent_run_id"] in page and "Comparison of 3 variants" in page
    table = pd.read_csv(client.download_artifacts(first["parent_run_id"], "comparison.csv"))
    baselines = ["words alone", "always NoEntailment"]
    assert table["variant"].tolist() == [*(f"text_{loss}" for loss in LOSSES), *baselines]
    by_name = table.set_index("variant")
    for variant in first["variants"]:
        row = by_name.loc[f"text_{variant['loss']}"]
        assert row["macro_f1"] == pytest.approx(variant["metrics"]["test/macro_f1"])
        assert row["seeds"] == 1
        of_words = variant["metrics"]["baseline/words_macro_f1"]
        assert of_words == pytest.approx(by_name.loc["words alone", "macro_f1"])


def test_filters_find_the_variants_and_not_the_run_that_holds_them(first, client):
    parent = client.get_run(first["parent_run_id"])
    assert (parent.data.tags["inputs"], parent.data.tags["loss"]) == ("text", ", ".join(LOSSES))
    assert parent.data.tags["mlflow.note.content"].startswith("| variant | seeds |")
    for condition in ("tags.loss = 'focal'", "tags.loss = 'focal' and params.`training.loss` = 'focal'"):
        found = client.search_runs([parent.info.experiment_id], condition)
        assert [run.data.tags["mlflow.parentRunId"] for run in found] == [first["parent_run_id"]]
    below = f"tags.mlflow.parentRunId != '{first['parent_run_id']}'"
    assert client.search_runs([parent.info.experiment_id], below) == []


def test_nothing_is_registered(first, client):
    assert client.search_registered_models() == []


def test_nothing_changed_everything_is_cached(first, workspace):
    before = runs(workspace)
    assert workspace.result(*TEXTS) == first
    assert runs(workspace) == before


def test_one_more_seed_trains_that_seed_alone(first, workspace):
    two_seeds = (*TEXTS, "--seeds", "2")
    done = workspace.run(*two_seeds)
    assert f"Done      {2 + len(LOSSES)} of {7 + 2 * len(LOSSES)} steps ran" in done.stdout, (
        done.stdout + done.stderr
    )
    for variant in workspace.result(*two_seeds)["variants"]:
        assert {"test/macro_f1", "test/macro_f1_std"} <= set(variant["metrics"])


def test_a_variant_that_fails_loses_no_other(first, workspace, client):
    done = workspace.run(*FAILING, "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout.splitlines()[-1])
    by_loss = {variant["loss"]: variant for variant in result["variants"]}
    assert "train/loss is inf" in by_loss["weighted"]["error"] and "metrics" not in by_loss["weighted"]
    assert "metrics" in by_loss["focal"] and "metrics" in by_loss["cross_entropy"]
    failed = client.get_run(by_loss["weighted"]["run_id"])
    assert failed.info.status == "FAILED" and "inf" in failed.data.tags["error"]
    assert failed.data.tags["mlflow.note.content"] == plain(failed.data.tags["error"])
    table = pd.read_csv(client.download_artifacts(result["parent_run_id"], "comparison.csv"))
    assert "inf" in table.set_index("variant").loc["text_weighted", "error"]
    again = workspace.run(*FAILING)
    assert again.returncode == 1 and "text_weighted" in again.stdout and "FAILED" in again.stdout
    assert "Step `train_text_weighted_42` has started" in again.stderr
    assert "Step `train_text_focal_42` has started" not in again.stderr


def test_the_ui_is_told_the_comparison_s_page(first, workspace):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        taken = workspace.run("ui", "--port", port, config=False)
    assert taken.returncode == 1 and taken.stdout == "" and f"Port {port} on 127.0.0.1" in taken.stderr
    unknown = workspace.run("ui", "--run", "nothing", config=False)
    assert unknown.returncode == 1 and unknown.stdout == "" and unknown.stderr.count("nothing") == 1
