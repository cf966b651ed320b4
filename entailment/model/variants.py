"""The variants that a comparison trains: every loss with every kind of input."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from entailment.configuration import Configuration, Inputs, Loss
from entailment.model.end_to_end import train_model, tuned_featurizer
from entailment.model.featurizer import Featurizer
from entailment.model.training import TrainedHead, predict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class Variant:
    """One kind of input with one loss."""

    inputs: Inputs
    loss: Loss

    @property
    def name(self) -> str:
        """Both in one word, fit for the name of a step or a run."""
        return f"{self.inputs}_{self.loss}"

    def configured(self, configuration: Configuration) -> Configuration:
        """The configuration with this variant's inputs and loss."""
        training = configuration.training.model_copy(update={"loss": self.loss})
        return configuration.model_copy(update={"inputs": self.inputs, "training": training})


@dataclass(frozen=True)
class VariantResult:
    """What training one variant with one seed gave."""

    trained: TrainedHead
    labels: "np.ndarray"
    """int64 [n], the test split's true classes, positions in LABELS."""
    probabilities: "np.ndarray"
    """float32 [n, 3] of the test split."""
    ids: "pd.DataFrame"
    """Columns id_1 and id_2 of the test split."""


def variants(inputs: Inputs | None = None, loss: Loss | None = None) -> list[Variant]:
    """Every combination, or those with the given inputs or loss."""
    return [
        Variant(one_inputs, one_loss)
        for one_inputs in get_args(Inputs)
        for one_loss in get_args(Loss)
        if inputs in (None, one_inputs) and loss in (None, one_loss)
    ]


def train_variant(
    records: Path, featurizer: Featurizer, config: Configuration, encoders: Path, tuned: Path
) -> VariantResult:
    """Trains the configured head and lets it answer the test split; arguments as those of `train_model`.

    Raises:
        EntailmentError: the loss is no longer a finite number, or the records are damaged.
    """
    trained = train_model(records, featurizer, config, encoders, tuned)
    if trained.modules:
        featurizer = tuned_featurizer(trained, config, encoders, None)
    test = featurizer.split(records, "test")
    return VariantResult(trained, test.labels, predict(trained.model, test), test.ids)
