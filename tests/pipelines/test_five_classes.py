"""A data set with five classes of its own, from a table to the registered model: every command, table and picture."""

import json
from pathlib import Path

import pandas as pd
import pytest

from entailment.task import PAIR_COLUMNS
from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import Workspace, write_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LABELS = ("Strongly agrees", "agrees", "Neutral", "dis-agrees", "Überhaupt nicht")
NAMES = ("strongly_agrees", "agrees", "neutral", "dis_agrees", "überhaupt_nicht")
SETTINGS = """
inputs: text
task:
  name: stances
  labels: {labels}
  label_map: {{"2": Neutral}}
dataset: {{source: {pairs}}}
split: {{test_fraction: 0.3, validation_fraction: 0.3}}
encoders: {{text: {{encoder: {text}, preprocessor: {preprocessor}, sequence_length: 16}}}}
head: {{projection_units: 8}}
training: {{epochs: 2, patience: 0, loss: weighted}}
evaluation: {{bootstrap_samples: 20, sample_rows: 1}}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    labels = [LABELS[number % 5] if number % 5 != 2 else "2" for number in range(75)]
    rows = [(f"a{i}", f"{label} {i}", "", f"b{i}", f"{i}", "", label) for i, label in enumerate(labels)]
    pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).to_csv(folder / "pairs.csv", index=False)
    modules = write_random_modules(folder / "modules")
    settings = SETTINGS.format(labels=json.dumps(LABELS), pairs=folder / "pairs.csv", **modules)
    write_settings(folder / "small.yaml", settings)
    return Workspace(folder)


@pytest.fixture(scope="module")
def client(workspace):
    from mlflow import MlflowClient

    return MlflowClient(workspace.tracking_uri)


@pytest.fixture(scope="module")
def trained(workspace):
    return workspace.result()


def test_figures_files_and_registry_speak_of_the_five(trained, client):
    run = client.get_run(trained["run_id"])
    assert client.get_experiment(run.info.experiment_id).name == "stances"
    assert {f"test/f1_{name}" for name in NAMES} <= set(trained["metrics"])

    def fetched(name):
        return Path(client.download_artifacts(trained["run_id"], name))

    confusion = json.loads(fetched("confusion_matrix.json").read_text())
    assert confusion["labels"] == list(LABELS)
    assert sorted(map(sum, confusion["counts"])) == [4, 4, 5, 5, 5]
    assert set(json.loads(fetched("classification_report.json").read_text())) == set(LABELS)
    predictions = pd.read_parquet(fetched("predictions.parquet"))
    assert [name for name in predictions if name.startswith("p_")] == [f"p_{name}" for name in NAMES]
    assert set(predictions["true_label"]) == set(LABELS)
    assert "which of these fits: Strongly agrees, agrees" in fetched("model_card.md").read_text()


def test_the_registered_model_answers_with_them(trained, client, workspace):
    import mlflow

    mlflow.set_tracking_uri(workspace.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/stances@champion")
    answers = model.predict(pd.DataFrame({"text_1": ["agrees 7"], "text_2": ["7"]}))
    assert answers.columns.tolist() == ["label", *(f"p_{name}" for name in NAMES), "error"]
    assert answers["label"].item() in LABELS
    assert answers.filter(like="p_").to_numpy().sum() == pytest.approx(1, abs=1e-5)


def test_a_comparison_and_a_cross_validation_of_them(trained, workspace, client):
    compared = workspace.run("compare", "--inputs", "text", "--loss", "focal")
    assert compared.returncode == 0, compared.stderr
    assert "F1 by class" in compared.stdout or "F1 S/a/N/d/Ü" in compared.stdout
    folded = workspace.run("crossval", "--folds", "2", "--json")
    assert folded.returncode == 0, folded.stderr
    told = json.loads(folded.stdout)
    assert {f"f1_{name}" for name in NAMES} <= set(told["mean"])
    table = client.download_artifacts(told["parent_run_id"], "crossval.md")
    assert "F1 Überhaupt nicht" in Path(table).read_text()


def test_a_label_that_is_none_of_them_is_named(workspace, tmp_path):
    table = pd.read_csv(workspace.folder / "pairs.csv", dtype=str)
    table.loc[3, "label"] = "Implies"
    table.to_csv(tmp_path / "wrong.csv", index=False)
    done = workspace.run("--dataset", str(tmp_path / "wrong.csv"))
    assert done.returncode == 1
    assert "row 4, column label: must be one of Strongly agrees, agrees" in done.stderr


def test_a_data_set_of_them_grows_is_retrained_on_and_its_champion_moved(trained, workspace):
    table = pd.read_csv(workspace.folder / "pairs.csv", dtype=str, keep_default_na=False)
    more = table.assign(id_1="c" + table["id_1"], text_1=table["text_1"] + " again")
    pd.concat([table, more]).to_csv(workspace.folder / "more.csv", index=False)
    added = workspace.run("add", str(workspace.folder / "more.csv"), "--to", "stances")
    assert added.returncode == 0, added.stderr
    retrained = workspace.run("retrain", "--dataset", "stances", "--json")
    assert retrained.returncode == 0, retrained.stderr
    assert "was trained on pairs.csv, and this is stances" in retrained.stderr
    told = json.loads(retrained.stdout)
    assert {f"test/f1_{name}" for name in NAMES} <= set(told["metrics"])
    assert told["decision"]["champion_version"] == trained["model_version"]
    moved = workspace.run("promote", told["model_version"])
    assert moved.returncode == 0, moved.stderr
    assert workspace.run("rollback").returncode == 0
