"""A trial: a configuration with its seed, and rows; trained on some of them, it answers others."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from entailment.configuration.model import ModelConfiguration
from entailment.data.split import UNDIVIDED, fold_rows
from entailment.model.end_to_end import Workplace, train_model, tuned_featurizer
from entailment.model.feature_index import IndexedFeatures
from entailment.model.features import Featurizer, SplitFeatures
from entailment.model.training import EpochSink, TrainedHead, predict
from entailment.records.index import read_index
from entailment.task import SPLITS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Fold(BaseModel):
    """One fold of a cross-validation over undivided records."""

    number: int
    """From 1."""
    folds: int


@dataclass(frozen=True)
class TrialResult:
    """What training on some rows and answering others gave."""

    trained: TrainedHead
    labels: "np.ndarray"
    """int64 [n], the answered rows' true classes, their indices."""
    probabilities: "np.ndarray"
    """float32 [n, classes] of the answered rows."""
    ids: "pd.DataFrame"
    """Columns id_1 and id_2 of the answered rows."""
    train_counts: list[int]
    """Training rows of each class."""
    rows: "np.ndarray | None"
    """int64 [n]: positions of the answered rows in their split; None: all of it."""


def run_trial(
    featurizer: Featurizer | IndexedFeatures,
    config: ModelConfiguration,
    place: Workplace,
    fold: Fold | None = None,
) -> TrialResult:
    """Trains the configured model and lets it answer the test split of the records in `place`, or a fold of them.

    Raises:
        EntailmentError: the loss is no longer a finite number, or the records are damaged.
    """
    if fold is None:
        train, validation, test = (featurizer.split(place.records, name) for name in SPLITS)
        return train_and_answer(train, validation, test, config, place)
    labels, share = read_index(place.records, UNDIVIDED).labels, config.split.validation_fraction
    rows = fold_rows(labels, fold.folds, config.seed, share)[fold.number - 1]
    features = featurizer.split(place.records, UNDIVIDED)
    train, validation, test = (features.select(part) for part in (rows.train, rows.validation, rows.test))
    return train_and_answer(train, validation, test, config, place)


def train_and_answer(
    train: SplitFeatures,
    validation: SplitFeatures,
    test: SplitFeatures,
    config: ModelConfiguration,
    place: Workplace,
    on_epoch: EpochSink = lambda epoch, figures: None,
) -> TrialResult:
    """Trains the configured model on some rows and lets it answer others. Raises as `train_model` does."""
    import numpy as np

    trained = train_model(train, validation, config, place, on_epoch)
    if trained.modules:
        featurizer = tuned_featurizer(trained, config, place.encoders, None)
        answered = featurizer.split(place.records, test.split)
        test = answered if test.rows is None else answered.select(test.rows)
    return TrialResult(
        trained,
        test.labels,
        predict(trained.model, test),
        test.ids,
        np.bincount(train.labels, minlength=len(train.classes)).tolist(),
        test.rows,
    )
