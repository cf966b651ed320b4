"""The main job through the command line: contracts, cache, determinism, no pickle."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import psutil
import pytest

from entailment.configuration.loading import load_configuration
from tests.encoders.random_modules import write_network_weights
from tests.pipelines.workspace import PROJECT, STEPS, Workspace, logged_settings, small_workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

METRICS = {
    *("test/accuracy", "test/macro_f1", "test/macro_f1_low", "test/macro_f1_high"),
    *("test/balanced_accuracy", "baseline/majority_accuracy", "baseline/majority_macro_f1"),
    *(f"baseline/majority_difference{end}" for end in ("", "_low", "_high")),
    *("baseline/words_accuracy", "baseline/words_macro_f1", "baseline/words_difference"),
    *("baseline/words_difference_low", "baseline/words_difference_high"),
    *("test/f1_contradictory", "test/f1_implies", "test/f1_no_entailment"),
    *("test/accuracy_low", "test/accuracy_high", "test/ece", "test/roc_auc", "test/pr_auc"),
    *("test/macro_f1_texts_missing", "test/macro_f1_images_missing"),
    *("test/macro_f1_image_1_missing", "test/macro_f1_image_2_missing"),
}
TRACKED = {"train", "evaluate", "register"}


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


def artifacts(client, run_id):
    return {item.path for item in client.list_artifacts(run_id)}


def test_the_result_is_what_was_logged(first, client):
    run = client.get_run(first["run_id"])
    assert set(first["metrics"]) == METRICS
    assert {name: run.data.metrics[name] for name in METRICS} == first["metrics"]
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "multimodal-entailment"


def test_the_run_holds_configuration_tags_curves_and_files(first, client, workspace):
    run = client.get_run(first["run_id"])
    configuration = load_configuration(workspace.folder / "small.yaml")
    assert run.data.params == logged_settings(configuration)
    tags = run.data.tags
    assert tags["dataset"] == "pairs.csv" and len(tags["dataset.sha256"]) == 64
    assert tags["inputs"] == "multimodal" and tags["loss"] == "cross_entropy"
    assert tags["encoder.text"] == configuration.encoders.text.encoder
    assert tags["encoder.image"] == configuration.encoders.image.encoder
    assert tags["data.generated"] == "false"
    for curve in ("train/loss", "val/loss", "val/nll", "train/accuracy", "val/accuracy", "val/macro_f1"):
        assert [point.step for point in client.get_metric_history(first["run_id"], curve)] == [1, 2, 3]
    assert {
        *("confusion_matrix.png", "confusion_matrix.json", "classification_report.json"),
        *("predictions.parquet", "raw_pairs.png", "samples.png", "model.png", "training_curves.png"),
        *("calibration.json", "reliability.png", "confident_errors.png"),
        *("slices.csv", "slices.md", "slices.json", "missing_modalities.csv", "missing_modalities.md"),
    } <= artifacts(client, first["run_id"])


def test_predictions_and_confusion_agree_with_the_metrics(first, client, workspace):
    table = pd.read_parquet(client.download_artifacts(first["run_id"], "predictions.parquet"))
    assert list(table.columns) == [
        *("id_1", "id_2", "label", "p_contradictory", "p_implies", "p_no_entailment", "error", "true_label"),
    ]
    pairs = pd.read_csv(workspace.folder / "data" / "pairs.csv", dtype=str)
    assert len(table) == 20 and set(table["id_1"]) <= set(pairs["id_1"])
    accuracy = (table["label"] == table["true_label"]).mean()
    assert accuracy == pytest.approx(first["metrics"]["test/accuracy"])
    confusion = json.loads(
        Path(client.download_artifacts(first["run_id"], "confusion_matrix.json")).read_text()
    )
    assert confusion["labels"] == ["Contradictory", "Implies", "NoEntailment"]
    expected = pd.crosstab(table["true_label"], table["label"]).reindex(
        index=confusion["labels"], columns=confusion["labels"], fill_value=0
    )
    assert confusion["counts"] == expected.to_numpy().tolist()


def test_the_first_version_is_champion_and_tagged(first, client):
    version = client.get_model_version_by_alias("multimodal-entailment", "champion")
    assert str(version.version) == first["model_version"] == "1"
    assert version.run_id == first["run_id"]
    assert float(version.tags["test/macro_f1"]) == pytest.approx(first["metrics"]["test/macro_f1"], abs=1e-6)
    assert {"dataset.sha256", "pairs.train.sha256", "pairs.validation.sha256", "pairs.test.sha256"} <= set(
        version.tags
    )


def test_the_version_carries_its_card(first, client):
    version = client.get_model_version_by_alias("multimodal-entailment", "champion")
    card = Path(client.download_artifacts(first["run_id"], "model_card.md")).read_text()
    lines, _, begun = version.description.partition("\n\n")
    begun, _, ended = begun.rpartition("\n\n")
    assert card.startswith(begun) and "\n## Limits\n" in begun and "is the whole card" in ended
    assert lines.startswith("Texts and images, cross entropy loss, on pairs.csv (80 pairs).")
    assert f"{first['metrics']['test/macro_f1']:.3f}" in card and first["run_id"] in card
    location = client.get_model_version_download_uri("multimodal-entailment", version.version)
    packed = Path(urlsplit(location).path)
    assert [path.name for path in packed.rglob("model_card.md")] == ["model_card.md"]


def test_the_registered_model_answers_as_evaluation_did_without_the_project(first, client, workspace):
    """In a process that has the tracking URI and another working folder, nothing else."""
    predictions = client.download_artifacts(first["run_id"], "predictions.parquet")
    script = f"""
import mlflow, pandas as pd
from pathlib import Path
mlflow.set_tracking_uri({workspace.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/multimodal-entailment@champion")
expected = pd.read_parquet({predictions!r})
pairs = pd.read_csv({str(workspace.folder / "data" / "pairs.csv")!r}, dtype=str).set_index("id_1").loc[expected.id_1]
images = {{p.stem: p.read_bytes() for p in Path({str(workspace.folder / "data" / "images")!r}).iterdir()}}
raw = pd.DataFrame(dict(text_1=pairs.text_1, text_2=pairs.text_2)).reset_index()
raw["image_1"] = [images[i] for i in pairs.index]
raw["image_2"] = [images[i] for i in pairs.id_2]
answers = model.predict(raw.drop(columns="id_1"))
assert (answers.label.values == expected.label.values).all()
for name in ("p_contradictory", "p_implies", "p_no_entailment"):
    assert abs(answers[name].values - expected[name].values).max() < 1e-4, name
assert (answers.error == "").all()
partly = model.predict(pd.DataFrame({{"text_1": ["a", None, "c"], "text_2": ["b", "", "d"],
                                      "image_1": [b"", None, b"no picture"]}}))
assert partly.error[0] == "" and "image_1" in partly.error[2] and partly.label.tolist()[1:] == ["", ""]
assert partly.error[1].startswith("nothing to judge: text_1, text_2, image_1, image_2 are absent"), partly.error[1]
import sys
assert not any("run_pipeline" in str(m) for m in sys.modules) and {str(PROJECT)!r} not in sys.path
print("agrees")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workspace.folder,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == "agrees", done.stderr


def test_nothing_changed_everything_is_cached_and_no_run_is_made(first, workspace, client):
    before = sqlite3.connect(workspace.home / "mlflow.db").execute("select count(*) from runs").fetchone()
    assert workspace.result() == first
    assert workspace.steps_run() == set()
    assert (
        sqlite3.connect(workspace.home / "mlflow.db").execute("select count(*) from runs").fetchone()
        == before
    )


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (("--seed", "7"), {"split", "write_tfrecords", "encode", *TRACKED}),
        (("--set", "records.rows_per_shard=9"), {"write_tfrecords", "encode", *TRACKED}),
    ],
)
def test_exactly_the_steps_that_use_a_key_run_again(first, workspace, options, steps):
    assert workspace.steps_run(*options) == steps


def test_a_changed_image_is_seen(first, workspace):
    path = sorted((workspace.folder / "data" / "images").iterdir())[0]
    assert workspace.run("retrain", "--check").returncode == 3
    old, times = path.read_bytes(), path.stat()
    path.write_bytes(sorted((workspace.folder / "data" / "images").iterdir())[1].read_bytes())
    try:
        assert workspace.run("retrain", "--check").returncode == 0
        assert workspace.run("retrain", "--check", "--inputs", "text").returncode == 3
        assert workspace.steps_run() == {"resolve_image_paths", "write_tfrecords", "encode", *TRACKED}
    finally:
        path.write_bytes(old)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_changed_file_is_seen(first, workspace):
    csv = workspace.folder / "data" / "pairs.csv"
    old = csv.read_text()
    csv.write_text(old.replace(",Implies\n", ",Contradictory\n", 1))
    try:
        assert workspace.steps_run() == {
            "ingest",
            "resolve_image_paths",
            "split",
            "write_tfrecords",
            "encode",
            *TRACKED,
        }
    finally:
        csv.write_text(old)


def test_a_step_runs_again_where_its_code_does_something_else(first, workspace, tmp_path):
    copy = tmp_path / "a%2Fb?c#d &+ö"
    ignored = shutil.ignore_patterns(".git", ".venv", ".entailment", "__pycache__", ".*cache")
    shutil.copytree(PROJECT, copy, ignore=ignored)

    def edit(file, old, new):
        text = (copy / "entailment" / file).read_text()
        assert old in text
        (copy / "entailment" / file).write_text(text.replace(old, new, 1))

    edit("records/writing.py", '"""', '"""Another docstring: ')
    edit("losses.py", "import tensorflow as tf\n", "import tensorflow as tf  # a comment\n")
    edit("configuration/promotion.py", "min_rows: Count = 100", "min_rows: Count = 90")
    assert Workspace(workspace.folder, copy).steps_run() == set()
    edit("reporting/figures.py", 'INK, FAINT, PANEL = "#1f2933"', 'INK, FAINT, PANEL = "#1f2934"')
    assert Workspace(workspace.folder, copy).steps_run() == {"evaluate", "register"}
    edit("losses.py", "return weight * cross_entropy", "return 2 * weight * cross_entropy")
    assert Workspace(workspace.folder, copy).steps_run() == TRACKED


REFUSE_PICKLE = """
import pickle, _pickle
def refuse(*a, **k): raise RuntimeError('something was unpickled')
class Refuse(pickle.Unpickler):
    def load(self): refuse()
for module in (pickle, _pickle):
    module.load = module.loads = refuse
    module.Unpickler = Refuse
"""


def test_the_same_seed_gives_the_same_bits_also_from_an_empty_store_and_nothing_is_unpickled(
    first, workspace, client, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(REFUSE_PICKLE)
    shutil.rmtree(workspace.home / "features")
    again = workspace.result("--no-cache", PYTHONPATH=str(tmp_path))
    assert not [path for path in workspace.home.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert again["run_id"] != first["run_id"]
    assert again["metrics"] == first["metrics"]
    tables = [
        pd.read_parquet(client.download_artifacts(run["run_id"], "predictions.parquet"))
        for run in (again, first)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_promote_and_rollback_move_the_champion_and_record_it(first, workspace, client):
    said = workspace.run("--loss", "weighted").stdout
    assert "cached: ingest, resolve_image_paths, split, write_tfrecords, encode\n" in said
    new = re.search(r"version (\d+); the champion is version 1", said).group(1)
    assert f"promote {new}" in said

    def aliases():
        return {
            name: str(v) for name, v in client.get_registered_model("multimodal-entailment").aliases.items()
        }

    assert aliases() == {"champion": "1", "challenger": new}
    done = workspace.run("promote", new, "--why", "better on rare classes", config=False)
    assert done.stdout == f"Champion: version {new} (before: 1).\n"
    assert aliases() == {"champion": new}
    assert f"version {new}; the champion is this one" in workspace.run("--loss", "weighted").stdout
    tags = client.get_model_version("multimodal-entailment", new).tags
    assert tags["promotion.why"] == "better on rare classes" and tags["promotion.by"] and tags["promotion.at"]
    assert tags["promotion.outcome"] == "promoted" and tags["promotion.how"] == "person"
    assert workspace.run("promote", new, config=False).returncode == 1
    assert workspace.run("promote", f"0{new}", config=False).returncode == 1  # 03 is 3, which is champion
    missing = workspace.run("promote", "99", "--json", config=False)
    assert missing.returncode == 1 and "There are: 1, " in json.loads(missing.stdout)["error"]
    back = json.loads(workspace.run("rollback", "--json", config=False).stdout)
    assert back == {"version": "1", "previous": new}
    assert workspace.run("rollback", config=False).returncode == 1


def test_the_example_s_preset_runs_with_random_weights(first, workspace, client):
    """Its image network itself, and a text module of the same signature."""
    text = load_configuration(workspace.folder / "small.yaml").encoders.text
    file = write_network_weights("ResNet50V2", workspace.folder / "resnet50v2.weights.h5")
    handles = {
        "text.encoder": text.encoder,
        "text.preprocessor": text.preprocessor,
        "image.encoder": f"keras:ResNet50V2@{file}",
    }
    assignments = [f"--set=encoders.{name}={handle}" for name, handle in handles.items()]
    result = workspace.result("--preset", "keras_example", *assignments)
    params = client.get_run(result["run_id"]).data.params
    assert params["images.size"] == "128" and params["training.epochs"] == "10"
    assert params["encoders.text.encode"] == "pair" and params["head.pair_features"] == "False"
    assert params["training.keep"] == "last"
    assert len(client.get_metric_history(result["run_id"], "val/macro_f1")) == 10
    (module,) = (workspace.home / "encoders" / "modules").glob("keras-ResNet50V2-*/")
    described = json.loads((module / "module.json").read_text())
    version = client.get_model_version("multimodal-entailment", str(result["model_version"]))
    assert described["weights_sha256"][:12] in version.description


@pytest.mark.parametrize(
    ("arguments", "variable", "words"),
    [
        (["--preset", "keras_example"], "TFHUB_CACHE_DIR", "tfhub.dev/tensorflow/small_bert"),
        (["--set", "encoders.image.encoder=keras:ResNet50V2"], "KERAS_HOME", "put it into the folder"),
    ],
)
def test_handles_that_cannot_be_fetched_are_explained(workspace, arguments, variable, words):
    nowhere = {"https_proxy": "http://127.0.0.1:9", variable: str(workspace.folder / "empty")}
    done = workspace.run(*arguments, **nowhere)
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_what_mlflow_shows_of_a_run_says_what_it_is_and_how_good(first, client):
    run = client.get_run(first["run_id"])
    assert run.info.run_name.startswith("multimodal cross entropy pairs_csv 20")
    assert re.fullmatch(
        r"Texts and images, cross entropy loss, on pairs\.csv \(80 pairs\)\.  \n"
        r"Test: macro-F1 0\.\d+ \(95% interval 0\.\d+ to [01]\.\d+\), accuracy .+ on 20 rows\.  \n"
        r"Baselines: always NoEntailment: macro-F1 0\.\d+, accuracy 0\.\d+.*\.  \n.+",
        run.data.tags["mlflow.note.content"],
    )
    splits = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(splits) == {"train", "validation", "test"} and splits["test"].name == "pairs.csv test"
    assert json.loads(splits["test"].profile)["rows"] == 20
    assert str(Path.cwd().anchor) not in splits["test"].source
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "predictions.json", "type": "table"}
    ]
    rows = pd.read_json(client.download_artifacts(run.info.run_id, "predictions.json"), orient="split")
    right = rows["true_label"] == rows["label"]
    assert len(rows) == 20 and right.is_monotonic_increasing and rows["pair"].str.len().min() > 1
    shown = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    assert [name for name, value in shown.items() if value[:1] in "[{"] == []


def test_a_changed_evaluation_key_makes_a_whole_new_run_while_the_ui_is_open(first, workspace, client):
    import urllib.request

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(PROJECT / "run_pipeline.py"), "ui", "--port", str(port)]
    server = subprocess.Popen(command, env=workspace.environment(), stdout=subprocess.PIPE, text=True)
    try:
        number = client.get_run(first["run_id"]).info.experiment_id
        page = f"http://127.0.0.1:{port}/#/experiments/{number}/runs?workflowType=machine_learning\n"
        assert server.stdout.readline() == page
        # It answers by then, in one process: nothing is left of it.
        urllib.request.urlopen(page.partition("#")[0], timeout=60).close()
        assert psutil.Process(server.pid).children(recursive=True) == []
        changed = workspace.result("--set", "evaluation.sample_rows=3")
        search = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/get?run_id={changed['run_id']}",
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(search, timeout=60) as answer:
            assert json.load(answer)["run"]["info"]["status"] == "FINISHED"
    finally:
        server.terminate()
        server.wait(60)
    assert server.returncode == 130
    assert changed["run_id"] != first["run_id"]
    run = client.get_run(changed["run_id"])
    assert run.data.params["evaluation.sample_rows"] == "3"
    # `train` was cached: the run has its curves all the same.
    for curve in ("train/loss", "val/macro_f1"):
        points = [
            [(point.step, point.value) for point in client.get_metric_history(one["run_id"], curve)]
            for one in (first, changed)
        ]
        assert points[0] == points[1] and len(points[0]) == 3
    assert "split_report.json" in artifacts(client, changed["run_id"])
    assert changed["metrics"] == first["metrics"]


# From here on the home is damaged and removed: MLflow's client in this process cannot follow.


def test_what_is_gone_is_made_again(first, workspace):
    shutil.rmtree(workspace.home / "zenml" / "write_tfrecords" / "records")
    assert workspace.steps_run() == {"write_tfrecords"}
    for name in ("mlflow.db", "mlartifacts"):
        path = workspace.home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert workspace.steps_run() == {"evaluate", "register"}


def test_a_deleted_home_is_made_anew(workspace):
    shutil.rmtree(workspace.home)
    assert workspace.steps_run() == set(STEPS) - {"look"}
