"""Cross-validation and search through the command line: parents and children, nothing registered, nothing leaked."""

import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from entailment.configuration.loading import load_configuration
from entailment.configuration.section import dotted
from entailment.configuration.split import Split
from entailment.configuration.task import Task
from entailment.data.pairs import read_pairs
from entailment.data.split import split_pairs
from entailment.metric_names import TEST, in_group
from entailment.task import ID, LABELS, PAIR_COLUMNS, probability_columns
from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import Workspace, logged_settings

PROBABILITY = probability_columns(LABELS)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CROSSVAL = ("crossval", "--folds", "2", "--epochs", "2")
FAILING = (*CROSSVAL, "--loss", "weighted", "--set", "training.class_weights=[1.0e+38, 1.0e+38, 1.0e+38]")
TUNE = ("tune", "--folds", "2", "--epochs", "2", "--inputs", "text", "--loss", "focal")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    made = Workspace(folder)
    made.write_config(write_random_modules(folder / "modules"))
    return made


@pytest.fixture
def client(workspace):
    from mlflow import MlflowClient

    return MlflowClient(workspace.tracking_uri)


def pairs_of(workspace):
    return read_pairs(workspace.folder / "data" / "pairs.csv", Task(), max_text_bytes=10_000)


def children(client, parent):
    experiment = client.get_run(parent).info.experiment_id
    return client.search_runs(
        [experiment], f"tags.mlflow.parentRunId = '{parent}'", order_by=["attributes.start_time"]
    )


def runs(workspace):
    with sqlite3.connect(workspace.home / "mlflow.db") as database:
        return database.execute("select count(*) from runs").fetchone()[0]


def test_cross_validation_judges_every_row_once(workspace, client):
    first = workspace.result(*CROSSVAL)
    parent = client.get_run(first["parent_run_id"])
    for figures in (*first["folds"], first["mean"]):
        assert {
            "accuracy",
            "macro_f1",
            "baseline/majority_accuracy",
            "baseline/words_macro_f1",
            "balanced_accuracy",
            "f1_implies",
        } <= set(figures)
        assert not any(name.startswith("test_") for name in figures)
    assert len(first["folds"]) == 2
    expected = sum(figures["macro_f1"] for figures in first["folds"]) / 2
    assert first["mean"]["macro_f1"] == pytest.approx(expected) == parent.data.metrics["test/macro_f1"]
    assert {"test/macro_f1_std", "pooled/macro_f1", "pooled/macro_f1_low"} <= set(parent.data.metrics)
    assert {"pooled/words_macro_f1", "pooled/words_difference_low"} <= set(parent.data.metrics)

    told = parent.data.tags["mlflow.note.content"].split("  \n")
    assert told[0] == "Texts and images, cross entropy loss, on pairs.csv."
    pooled = parent.data.metrics["pooled/macro_f1"]
    assert told[1].startswith(f"All answers together: macro-F1 {pooled:.3f} (95% interval ")

    made = children(client, parent.info.run_id)
    configuration = load_configuration(workspace.folder / "small.yaml", overrides={"training.epochs": 2})
    for number, (run, figures) in enumerate(zip(made, first["folds"], strict=True), 1):
        assert run.data.params == logged_settings(configuration)
        tags = {"fold": str(number), "folds": "2", "inputs": "multimodal", "loss": "cross_entropy"}
        assert tags.items() <= run.data.tags.items()
        assert {"dataset", "dataset.sha256", "encoder.text", "data.generated"} <= set(run.data.tags)
        assert {name: run.data.metrics[name] for name in in_group(figures, TEST)} == in_group(figures, TEST)
        assert len(client.get_metric_history(run.info.run_id, "val/macro_f1")) == 2
        assert run.info.run_name == f"fold {number} multimodal cross entropy"

    files = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"crossval.csv", "crossval.md", "crossval.png", "crossval.html", "confusion_matrix.png"} <= files
    assert {"confusion_matrices.png", "training_curves.png"} <= files
    pairs = pairs_of(workspace)
    answers = pd.read_parquet(client.download_artifacts(parent.info.run_id, "predictions.parquet"))
    assert answers.columns.tolist() == [*ID, "label", *PROBABILITY, "error", "true_label", "fold"]
    assert answers[list(ID)].equals(pairs[list(ID)])
    assert answers["true_label"].tolist() == pairs["label"].tolist()
    right = (answers["label"] == answers["true_label"]).sum()
    assert right / len(answers) == pytest.approx(parent.data.metrics["pooled/accuracy"])
    confusion = json.loads(
        Path(client.download_artifacts(parent.info.run_id, "confusion_matrix.json")).read_text()
    )
    assert sum(confusion["counts"][index][index] for index in range(3)) == right

    assert {"suspicious_labels.csv", "suspicious_labels.md", "suspicious_labels.png"} <= files
    listed = pd.read_csv(client.download_artifacts(parent.info.run_id, "suspicious_labels.csv"), dtype=str)
    assert 0 < len(listed) == min(first["suspicious"], 100)
    for row in listed.to_dict("records"):
        number = int(row["row"]) - 1
        shown = row["text_2"].removeprefix("'")  # it stands before a mention, which is no formula
        assert (row["id_1"], shown) == (pairs["id_1"][number], pairs["text_2"][number])
        assert row["given_label"] == pairs["label"][number] != row["suggested_label"]
        assert float(row["p_implies"]) == pytest.approx(answers["p_implies"][number])

    before = runs(workspace)
    assert workspace.result(*CROSSVAL) == first and runs(workspace) == before
    again = workspace.result(*CROSSVAL, "--no-cache")
    assert (again["folds"], again["mean"]) == (first["folds"], first["mean"])
    assert client.search_registered_models() == []


def test_a_failing_fold_is_told_and_ends_with_1(workspace, client):
    done = workspace.run(*FAILING, "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout.splitlines()[-1])
    assert all("train/loss is inf" in fold["error"] for fold in result["folds"]) and result["mean"] == {}
    made = children(client, result["parent_run_id"])
    assert [run.info.status for run in made] == ["FAILED", "FAILED"] and "inf" in made[0].data.tags["error"]


def test_a_search_is_resumed_and_never_reads_the_test_split(workspace, client):
    output = workspace.folder / "better.yaml"
    first = workspace.result(*TUNE, "--trials", "2", "--output", str(output))
    assert (first["trials"], first["earlier"], first["output"]) == (2, 0, str(output))
    made = children(client, first["parent_run_id"])
    assert [run.data.tags["trial"] for run in made] == ["0", "1"]
    for run in made:
        assert run.data.params["training.loss"] == "focal" and set(run.data.params) == set(
            logged_settings(load_configuration(output))
        )
        assert run.data.tags["state"] == "complete" and "dataset.sha256" in run.data.tags
        assert {"pooled/macro_f1", "pooled/majority_accuracy"} <= set(run.data.metrics)
    values = [run.data.metrics["pooled/macro_f1"] for run in made]
    told = client.get_run(first["parent_run_id"]).data.tags["mlflow.note.content"].split("  \n")
    assert told[0] == "Texts alone, focal loss, on pairs.csv."
    assert told[1].startswith(f"Validation folds together: macro-F1 {max(values):.3f} (95% interval ")
    assert told[2].startswith("Baselines: always the majority class: macro-F1 ")
    assert told[3].startswith(f"That is trial {first['best']['trial']}, the best of 2, ")
    assert first["best"]["value"] == max(values) and first["start"] == values[0]
    assert not {"test/macro_f1", "test/accuracy"} & set(made[0].data.metrics)
    best = load_configuration(output)
    assert dotted(best)["training.learning_rate"] == first["best"]["configuration"]["training.learning_rate"]
    assert client.search_registered_models() == []

    # The study is named after the hash of all that it reads: other texts in the test split must not change it.
    pairs = pairs_of(workspace)
    split = Split(test_fraction=0.25, validation_fraction=0.2)
    splits = split_pairs(pairs, split, 42).set_index("id_1")["split"]
    tested = pairs["id_1"].map(splits) == "test"
    assert tested.sum() == 20
    pairs.loc[tested, ["text_1", "text_2"]] = "never to be read"
    changed = workspace.folder / "changed.csv"
    pairs[list(PAIR_COLUMNS)].to_csv(changed, index=False)
    done = workspace.run(*TUNE, "--trials", "1", "--dataset", str(changed))
    assert done.returncode == 0, done.stderr
    assert f"{first['study']}: 3 trials" in done.stdout and "2 of them from before" in done.stdout
