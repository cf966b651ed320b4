"""The variants that a comparison trains: every loss with every kind of input."""

from dataclasses import dataclass
from typing import TypeVar

from entailment.configuration.model import ModelConfiguration
from entailment.losses import LOSSES
from entailment.task import INPUTS

Settings = TypeVar("Settings", bound=ModelConfiguration)


@dataclass(frozen=True)
class Variant:
    """One kind of input with one loss."""

    inputs: str
    loss: str

    @property
    def name(self) -> str:
        """Both in one word, fit for the name of a step or a run."""
        return f"{self.inputs}_{self.loss}"

    def configured(self, configuration: Settings) -> Settings:
        """The configuration with this variant's inputs and loss."""
        training = configuration.training.model_copy(update={"loss": self.loss})
        return configuration.model_copy(update={"inputs": self.inputs, "training": training})


def variants(inputs: str | None = None, loss: str | None = None) -> list[Variant]:
    """Every combination, or those with the given inputs or loss."""
    return [
        Variant(one_inputs, one_loss)
        for one_inputs in INPUTS
        for one_loss in LOSSES
        if inputs in (None, one_inputs) and loss in (None, one_loss)
    ]
