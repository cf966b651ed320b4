"""What the commit tagged `format-1` stored is read by the present code, and its models answer as they did."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import load_configuration
from entailment.configuration.task import Task
from entailment.data.pairs import read_pairs
from entailment.data.versions import find_version
from entailment.model.features import configured_featurizer
from entailment.records.index import read_index
from entailment.records.reading import read_rows
from entailment.serving.predictor import Predictor
from entailment.task import LABEL, LABELS, probability_columns
from tracking import registry

PROBABILITY = probability_columns(LABELS)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def tracked(golden_home: Path) -> Path:
    """The home, with MLflow on its database."""
    mlflow.set_tracking_uri(f"sqlite:///{golden_home}/mlflow.db")
    return golden_home


@pytest.fixture
def configuration(golden: Path) -> Configuration:
    """What its first version was trained with."""
    return load_configuration(golden / "plain.yaml")


@pytest.fixture
def records(golden_home: Path) -> Path:
    """The records of its first training."""
    manifests = golden_home.glob("zenml/write_tfrecords/records/*/*/records/manifest.json")
    return min(manifests, key=lambda path: path.stat().st_mtime).parent


def same_answers(answers: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Labels and errors are equal, probabilities to 1e-5: another processor rounds otherwise."""
    assert answers[[LABEL, "error"]].equals(expected[[LABEL, "error"]])
    np.testing.assert_allclose(answers[list(PROBABILITY)], expected[list(PROBABILITY)], rtol=0, atol=1e-5)


def test_versions_and_aliases_are_listed(tracked: Path) -> None:
    client = mlflow.MlflowClient()
    found = client.search_model_versions("name='multimodal-entailment'")
    assert sorted(version.version for version in found) == [1, 2]
    assert registry.champion_version("multimodal-entailment") == "1"
    model = client.get_registered_model("multimodal-entailment")
    assert {name: str(version) for name, version in model.aliases.items()} == {
        "champion": "1",
        "challenger": "2",
    }
    with registry.version_files("multimodal-entailment", "1") as files:
        assert sum(map(len, registry.trained_pairs(files).values())) == 96


def test_the_data_set_is_found_with_its_two_versions(golden_home: Path) -> None:
    for name, rows, number in (("mine", 96, 2), ("mine@1", 48, 1)):
        version = find_version(golden_home / "datasets", name)
        assert version is not None and version.number == number
        assert len(read_pairs(version.csv, Task(), max_text_bytes=1000)) == rows
    assert len(list(version.images.iterdir())) == 192


def test_records_are_read(records: Path) -> None:
    index = read_index(records, "train")
    rows = list(read_rows(records, "train"))
    assert [row.label for row in rows] == index.labels.tolist()
    assert set(index.labels.tolist()) == set(range(len(LABELS)))
    assert all(image.shape == (32, 32, 3) for row in rows for image in row.values["image"])


def test_features_of_images_are_found_in_the_store_and_texts_encoded_anew(
    records: Path, golden_home: Path, configuration: Configuration
) -> None:
    featurizer = configured_featurizer(
        configuration,
        golden_home / "encoders",
        golden_home / "features",
    )
    featurizer.split(records, "train")
    index = read_index(records, "train")
    images, texts = len(np.unique(index.keys["image"])), len(np.unique(index.keys["text"]))
    assert (featurizer.usage.hits, featurizer.usage.misses) == (images, texts)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_registered_version_answers_as_it_did(
    version: str, golden: Path, tracked: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, mlflow, pandas\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model(sys.argv[2])\n"
        "model.predict(pandas.read_parquet(sys.argv[3])).to_parquet(sys.argv[4])\n"
    )
    uri, model = f"sqlite:///{tracked}/mlflow.db", f"models:/multimodal-entailment/{version}"
    files = [str(golden / "questions.parquet"), str(tmp_path / "answers.parquet")]
    subprocess.run([sys.executable, "-c", program, uri, model, *files], check=True, cwd=tmp_path, timeout=200)
    same_answers(pd.read_parquet(files[1]), pd.read_parquet(golden / f"answers-{version}.parquet"))


def test_the_champion_answers_in_a_process_of_its_own(golden: Path, tracked: Path) -> None:
    for version in ("1", "2"):
        with registry.version_files("multimodal-entailment", version) as files:
            predictor = Predictor(files / "package", golden / "home" / "features")
            answers = predictor.predict(pd.read_parquet(golden / "questions.parquet"))
        same_answers(answers, pd.read_parquet(golden / f"answers-{version}.parquet"))


def test_the_commands_open_the_home(
    command: "Callable[..., subprocess.CompletedProcess[str]]", golden: Path
) -> None:
    config = ("--config", str(golden / "plain.yaml"))
    checked = command("retrain", "--dataset", "mine", "--check", *config)
    assert checked.returncode == 3, checked.stderr
    assert "since version 1 was trained" in checked.stdout
    moved = command("promote", "2", "--json")
    assert moved.returncode == 0, moved.stderr
    assert json.loads(command("rollback", "--json").stdout) == {"version": "1", "previous": "2"}


def test_a_retraining_beats_or_keeps_its_champion(
    command: "Callable[..., subprocess.CompletedProcess[str]]", golden: Path
) -> None:
    """The gate and the drift report ask a champion of the earlier format."""
    config = ("--config", str(golden / "plain.yaml"), "--set", "drift.min_rows=10", "--dataset", "mine")
    done = command("retrain", "--no-cache", "--json", *config, "--set", "promotion.min_rows=5")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["model_version"] == "3"
    assert result["decision"]["champion_version"] == "1"
    assert "against the champion" in json.dumps(result["decision"]["reasons"]), result["decision"]
