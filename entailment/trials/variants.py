"""The variants that a comparison trains, every loss with every kind of input, and training one of them or a fold."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, get_args

from entailment.configuration.model import ModelConfiguration
from entailment.configuration.task import Inputs
from entailment.configuration.training import Loss
from entailment.data.split import UNDIVIDED, FoldRows
from entailment.model.end_to_end import Workplace, train_model, tuned_featurizer
from entailment.model.features import Featurizer, SplitFeatures
from entailment.model.training import EpochSink, TrainedHead, predict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Settings = TypeVar("Settings", bound=ModelConfiguration)


@dataclass(frozen=True)
class Variant:
    """One kind of input with one loss."""

    inputs: Inputs
    loss: Loss

    @property
    def name(self) -> str:
        """Both in one word, fit for the name of a step or a run."""
        return f"{self.inputs}_{self.loss}"

    def configured(self, configuration: Settings) -> Settings:
        """The configuration with this variant's inputs and loss."""
        training = configuration.training.model_copy(update={"loss": self.loss})
        return configuration.model_copy(update={"inputs": self.inputs, "training": training})


@dataclass(frozen=True)
class VariantResult:
    """What training on some rows and answering others gave."""

    trained: TrainedHead
    labels: "np.ndarray"
    """int64 [n], the answered rows' true classes, their indices."""
    probabilities: "np.ndarray"
    """float32 [n, classes] of the answered rows."""
    ids: "pd.DataFrame"
    """Columns id_1 and id_2 of the answered rows."""


def variants(inputs: Inputs | None = None, loss: Loss | None = None) -> list[Variant]:
    """Every combination, or those with the given inputs or loss."""
    return [
        Variant(one_inputs, one_loss)
        for one_inputs in get_args(Inputs)
        for one_loss in get_args(Loss)
        if inputs in (None, one_inputs) and loss in (None, one_loss)
    ]


def train_variant(featurizer: Featurizer, config: ModelConfiguration, place: Workplace) -> VariantResult:
    """Trains the configured model and lets it answer the test split of the records in `place`.

    Raises:
        EntailmentError: the loss is no longer a finite number, or the records are damaged.
    """
    train, validation, test = (
        featurizer.split(place.records, name) for name in ("train", "validation", "test")
    )
    return train_and_answer(train, validation, test, config, place)


def train_fold(
    featurizer: Featurizer, rows: FoldRows, config: ModelConfiguration, place: Workplace
) -> VariantResult:
    """The same for one fold of records that are not divided into splits (`fold_pairs`)."""
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
) -> VariantResult:
    """Trains the configured model on some rows and lets it answer others. Raises as `train_model` does."""
    trained = train_model(train, validation, config, place, on_epoch)
    if trained.modules:
        featurizer = tuned_featurizer(trained, config, place.encoders, None)
        answered = featurizer.split(place.records, test.split)
        test = answered if test.rows is None else answered.select(test.rows)
    return VariantResult(trained, test.labels, predict(trained.model, test), test.ids)
