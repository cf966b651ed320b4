"""A package of format 2, which knows texts and images alone, answers as it did when commit ce6cfbc wrote it."""

import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from entailment.serving.package import read_settings
from entailment.serving.predictor import Predictor
from entailment.task import LABEL, LABELS, probability_columns

PROBABILITIES = list(probability_columns(LABELS))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(Path(__file__).parent / "package_format_2.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / "format_2"


@pytest.mark.parametrize("stored", [False, True])
def test_it_answers_with_its_own_reader(written: Path, stored: bool, tmp_path: Path) -> None:
    predictor = Predictor(written / "package", tmp_path if stored else None)
    expected = pd.read_parquet(written / "answers.parquet")
    answers = predictor.predict(pd.read_parquet(written / "pairs.parquet"))
    assert answers[[LABEL, "error"]].equals(expected[[LABEL, "error"]])
    np.testing.assert_allclose(answers[PROBABILITIES], expected[PROBABILITIES], rtol=0, atol=1e-5)
    assert predictor.usage.misses == (9 if stored else 0)


def test_its_settings_are_read_as_those_of_today(written: Path) -> None:
    settings = read_settings(written / "package")
    assert [name for name, _ in settings["columns"]] == ["text_1", "text_2", "image_1", "image_2"]
    assert [name for name, _ in settings["kinds"]] == ["text", "image"]
