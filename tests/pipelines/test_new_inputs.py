"""A third kind of input from one file of its own, and a text encoder that takes strings: from table to registry."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from entailment.task import LABELS
from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import PROJECT, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUMBERS = r'''
"""Three readings of a post, such as likes, shares and answers."""

from .kind import Kind

READING = r"-?\d+(\.\d+)?"


class Numbers(Kind):
    plural = "numbers"
    rule = rf"{READING} {READING} {READING}", "three numbers with one blank between"
    example = "1 2.5 -3"

    def vectors(self, values):
        import numpy as np

        return np.array([[float(number) for number in value.split()] for value in values], np.float32)
'''
ANSWER = """
import sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/multimodal-entailment@champion")
model.predict(pandas.read_parquet(sys.argv[2])).to_parquet(sys.argv[3])
"""


def with_numbers(pairs):
    """Numbers that tell the label; a few rows have none."""
    noise = np.random.default_rng(3).normal(0, 0.3, (2, len(pairs), 3))
    told = pairs["label"].map({"Implies": 2, "Contradictory": -2, "NoEntailment": 0}).to_numpy()
    first, second = (
        [" ".join(map(str, row)) for row in side.round(2)] for side in (noise[0], noise[1] + told[:, None])
    )
    return pairs.assign(numbers_1=[text if n % 20 else "" for n, text in enumerate(first)], numbers_2=second)


def answered(workspace, rows, folder):
    """What the registered model says in a process that knows nothing of the project."""
    rows.to_parquet(folder / "rows.parquet")
    files = [str(folder / "rows.parquet"), str(folder / "answers.parquet")]
    command = [sys.executable, "-I", "-c", ANSWER, workspace.tracking_uri, *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(folder / "answers.parquet")


def predictions(workspace, run_id):
    from mlflow import MlflowClient

    return pd.read_parquet(
        MlflowClient(workspace.tracking_uri).download_artifacts(run_id, "predictions.parquet")
    )


def raw(workspace, shown):
    """The pairs of a table of predictions as the registered model takes them."""
    table = pd.read_csv(workspace.folder / "pairs.csv", dtype=str, keep_default_na=False)
    pairs = shown[["id_1", "id_2"]].merge(table, on=["id_1", "id_2"], how="left")
    files = {path.stem: path for path in (workspace.folder / "data" / "images").iterdir()}
    for side in (1, 2):
        pairs[f"image_{side}"] = [
            files[name].read_bytes() if name in files else b"" for name in pairs[f"id_{side}"]
        ]
    return pairs.filter(regex="^(text|image|numbers)_")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", ".entailment", "__pycache__", ".*cache", "tests", "docs"
    )
    shutil.copytree(PROJECT, folder / "project", ignore=ignored)
    (folder / "project" / "entailment" / "inputs" / "numbers.py").write_text(NUMBERS)
    workspace = Workspace(folder, folder / "project")
    workspace.write_config(write_random_modules(folder / "modules"))
    pairs = pd.read_csv(folder / "data" / "pairs.csv", dtype=str, keep_default_na=False)
    with_numbers(pairs).to_csv(folder / "pairs.csv", index=False)
    settings = folder / "small.yaml"
    settings.write_text(
        settings.read_text().replace(str(folder / "data" / "pairs.csv"), str(folder / "pairs.csv"))
    )
    return workspace


@pytest.fixture(scope="module")
def trained(workspace):
    return workspace.result("--epochs", "30")


def test_a_third_kind_is_learned_from_and_its_absence_is_judged(trained):
    metrics = trained["metrics"]
    assert metrics["test/macro_f1"] > metrics["test/macro_f1_numbers_missing"] + 0.1
    assert {"test/macro_f1_numbers_1_missing", "test/macro_f1_texts_missing"} <= set(metrics)


def test_the_registered_model_takes_it_anywhere(trained, workspace, tmp_path):
    shown = predictions(workspace, trained["run_id"])
    rows = raw(workspace, shown)
    answers = answered(workspace, rows, tmp_path)
    columns = [name for name in shown if name.startswith("p_")]
    np.testing.assert_allclose(answers[columns], shown[columns], rtol=0, atol=1e-5)
    assert (answers["label"] == shown["label"]).all()
    rows.loc[0, "numbers_2"] = "many"
    wrong = answered(workspace, rows.head(1), tmp_path)["error"].item()
    assert wrong == "numbers_2: must be three numbers with one blank between"
    rows.loc[0, "numbers_2"] = f"1 {'9' * 309} 1"
    beside = answered(workspace, rows.head(3), tmp_path)
    assert "no finite answer" in beside["error"][0] and beside["label"][0] == ""
    np.testing.assert_allclose(beside[columns][1:], answers[columns][1:3], rtol=0, atol=1e-5)


def test_it_can_be_all_that_a_model_sees_and_is_cached_as_others_are(trained, workspace):
    alone = workspace.result("--inputs", "numbers", "--epochs", "30")
    assert alone["metrics"]["test/macro_f1"] > 0.5
    assert workspace.steps_run("--inputs", "numbers", "--epochs", "30") == set()


def test_texts_and_it_need_no_images(workspace, tmp_path):
    alone = workspace.result("--dataset", str(workspace.folder / "pairs.csv"), "--set", "dataset.images=null")
    assert "test/macro_f1_numbers_missing" in alone["metrics"]


def test_wrong_values_and_half_a_pair_of_columns_are_named(workspace, tmp_path):
    table = pd.read_csv(workspace.folder / "pairs.csv", dtype=str, keep_default_na=False)
    table.assign(numbers_1=["1 2", *table["numbers_1"][1:]]).to_csv(tmp_path / "wrong.csv", index=False)
    table.drop(columns="numbers_2").to_csv(tmp_path / "half.csv", index=False)
    images = ("--images", str(workspace.folder / "data" / "images"))
    wrong = workspace.run("--dataset", str(tmp_path / "wrong.csv"), *images)
    assert wrong.returncode == 1
    assert "row 1, column numbers_1: must be three numbers with one blank between, or empty" in wrong.stderr
    half = workspace.run("--dataset", str(tmp_path / "half.csv"), *images)
    assert half.returncode == 1 and "must have numbers_1 and numbers_2 once each, or none" in half.stderr


def test_data_without_it_give_what_they_gave_before(workspace):
    plain = ("--dataset", str(workspace.folder / "data" / "pairs.csv"))
    here, before = workspace.result(*plain), Workspace(workspace.folder).result(*plain, "--no-cache")
    assert here["metrics"] == before["metrics"]
    refused = workspace.run(*plain, "--inputs", "numbers")
    assert refused.returncode == 1 and "needs the columns numbers_1 and numbers_2" in refused.stderr


def write_string_module(folder: Path, padded: bool = False) -> str:
    """A module of the TF-Hub form that takes strings: the mean of random vectors of their words.

    With `padded` it counts the places that only longer texts of the batch fill, which it should not.
    """
    import tensorflow as tf

    module = tf.train.Checkpoint()
    module.table = tf.Variable(np.random.default_rng(5).normal(0, 1, (512, 8)).astype(np.float32))

    module.trainable_variables = [module.table]

    def embed(texts):
        words = tf.strings.split(texts)
        vectors = tf.gather(module.table, tf.strings.to_hash_bucket_fast(words.to_tensor(""), 512))
        if padded:
            return tf.reduce_mean(vectors, axis=1)
        lengths = words.row_lengths()
        mask = tf.cast(tf.sequence_mask(lengths), tf.float32)[:, :, None]
        return tf.reduce_sum(vectors * mask, axis=1) / tf.cast(tf.maximum(lengths, 1), tf.float32)[:, None]

    module.__call__ = tf.function(embed, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(folder))
    return str(folder)


def test_a_text_encoder_that_takes_strings(workspace, tmp_path):
    strings = Workspace(tmp_path)
    shutil.copy(workspace.folder / "small.yaml", tmp_path / "small.yaml")
    encoder = write_string_module(tmp_path / "strings")
    chosen = ("--inputs", "text", "--set", f"encoders.text.encoder={encoder}", "--set")
    null = "encoders.text.preprocessor=null"
    for version, trainable in enumerate(("0", "all"), start=1):
        trained = strings.result(*chosen, null, "--set", f"encoders.text.trainable={trainable}")
        strings.run("promote", str(version))
        shown = predictions(strings, trained["run_id"])
        answers = answered(strings, raw(workspace, shown), tmp_path)
        columns = [name for name in shown if name.startswith("p_")]
        np.testing.assert_allclose(answers[columns], shown[columns], rtol=0, atol=1e-5)
        assert set(answers["label"]) <= set(LABELS)
    padded = write_string_module(tmp_path / "padded", padded=True)
    spoilt = strings.run("--inputs", "text", "--set", f"encoders.text.encoder={padded}", *chosen[4:], null)
    assert spoilt.returncode == 1 and "another vector when a longer text shares its batch" in spoilt.stderr
    refused = strings.run(*chosen, null, "--set", "encoders.text.encode=pair")
    assert refused.returncode == 2 and "encoders.text.encode: pair packs tokens" in refused.stderr
