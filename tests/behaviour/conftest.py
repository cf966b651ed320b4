"""The model that the main job trains on the generated sample, as it is served: raw texts and image bytes in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from entailment.configuration.configuration import Configuration
from entailment.data.image_paths import resolve_image_paths
from entailment.data.pairs import read_pairs
from entailment.data.sample import write_sample
from entailment.data.split import split_pairs
from entailment.model.features import configured_featurizer
from entailment.model.training import train_head
from entailment.records.writing import write_records
from entailment.serving.package import write_package
from entailment.serving.predictor import Predictor
from entailment.workspace import workspace
from tests.behaviour.made_pairs import made_pairs

RAW = ["text_1", "image_1", "text_2", "image_2", "label"]


@dataclass(frozen=True)
class SampleModel:
    """A model and the rows that it was not trained on."""

    answer: Callable[[pd.DataFrame], pd.DataFrame]
    """Raw pairs in; label and probabilities out."""
    test: pd.DataFrame
    """Columns RAW."""
    answers: pd.DataFrame
    """To these rows."""


@pytest.fixture(scope="session")
def sample_model(built_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SampleModel:
    """Trained once with every default, on features that are kept in the home as the encoders are."""
    folder, config = tmp_path_factory.mktemp("behaviour"), Configuration()
    write_sample(folder / "sample", config.dataset.sample_pairs)
    pairs = read_pairs(
        folder / "sample" / "pairs.csv", config.task, max_text_bytes=config.ingest.max_text_bytes
    )
    images = config.images
    resolved, _ = resolve_image_paths(
        pairs, folder / "sample" / "images", missing="error", max_pixels=images.max_pixels
    )
    splits = split_pairs(resolved, config.split, config.seed)
    write_records(splits, folder / "records", config)
    featurizer = configured_featurizer(config, built_folder, workspace().features)
    features = [featurizer.split(folder / "records", name) for name in ("train", "validation")]
    head = train_head(*features, config.head, config.training, config.seed)
    test = splits[splits["split"] == "test"].reset_index(drop=True)
    raw = test.assign(
        **{
            f"image_{side}": [Path(path).read_bytes() for path in test[f"image_path_{side}"]]
            for side in (1, 2)
        }
    )
    packed = write_package(folder / "package", head, config, built_folder)
    answer = Predictor(packed).predict
    return SampleModel(answer, raw[RAW], answer(raw[RAW]))


@pytest.fixture(scope="session")
def answers_to_made(sample_model: SampleModel) -> Callable[..., pd.DataFrame]:
    """`answers_to_made(relation, shown)`: what the model answers to those made pairs, asked once."""
    return cache(lambda relation, shown: sample_model.answer(made_pairs(relation, shown)))
