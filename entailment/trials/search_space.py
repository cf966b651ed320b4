"""What a search may change of a configuration, and between which values: the one place that says so."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import with_values
from entailment.configuration.section import dotted
from entailment.losses import LOSSES


@dataclass(frozen=True)
class Dimension:
    """One key of the configuration and the values that it may take: choices, or a range with both ends."""

    key: str
    why: str
    """What it decides."""
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    """A range of whole numbers where both ends are int."""
    log: bool = False
    """Whether ratios matter rather than differences."""
    applies: Callable[[Configuration], bool] = lambda configuration: True
    """Whether it makes a difference, given the keys that come before it."""

    def including(self, value: Any) -> "Dimension":
        """The same, widened so that `value` is one of its values."""
        if self.choices:
            return self if value in self.choices else replace(self, choices=(*self.choices, value))
        return replace(self, low=min(self.low, value), high=max(self.high, value))

    def suggested(self, trial: Any) -> Any:
        """The value that an Optuna trial suggests."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


def _has_two_vectors(configuration: Configuration) -> bool:
    return configuration.inputs != "text" or configuration.encoders.text.encode == "each"


SPACE: Final = (
    Dimension("training.learning_rate", "how far a step of Adam goes", low=1e-4, high=1e-2, log=True),
    Dimension("training.batch_size", "rows in a step: small ones are noisier", choices=(16, 32, 64, 128)),
    Dimension("training.loss", "how rare classes count", choices=tuple(LOSSES)),
    Dimension(
        "training.focal_gamma",
        "how far easy rows are played down",
        low=0.5,
        high=4.0,
        applies=lambda configuration: configuration.training.loss == "focal",
    ),
    Dimension("training.label_smoothing", "how sure the targets are", low=0.0, high=0.2),
    Dimension("training.logit_adjustment", "how far rare classes are favoured", low=0.0, high=1.0),
    Dimension("head.projection_units", "width of the head", choices=(64, 128, 256, 512)),
    Dimension("head.projection_layers", "depth of the head", low=0, high=3),
    Dimension("head.dropout", "how much of the head is hidden in training", low=0.0, high=0.5),
    Dimension(
        "head.pair_features",
        "whether differences and products are given",
        choices=(True, False),
        applies=_has_two_vectors,
    ),
    Dimension(
        "head.modality_dropout",
        "how often all texts or images are hidden in training",
        low=0.0,
        high=0.3,
        applies=lambda configuration: configuration.inputs == "multimodal",
    ),
)
"""In this order. Encoders are not searched: what they give is stored once and every trial reads it."""


def suggested(trial: Any, start: Configuration, fixed: Collection[str] = ()) -> Configuration:
    """The configuration that an Optuna trial suggests: `start` with other values of the keys in SPACE.

    Keys in `fixed` stay as they are. The values of `start` itself are always among those that may be suggested.
    """
    configuration, before = start, dotted(start)
    for dimension in SPACE:
        if dimension.key not in fixed and dimension.applies(configuration):
            value = dimension.including(before[dimension.key]).suggested(trial)
            configuration = with_values(configuration, {dimension.key: value})
    return configuration


def starting_values(start: Configuration, fixed: Collection[str] = ()) -> dict[str, Any]:
    """What a trial has to suggest so that the configuration is `start` itself."""
    values = dotted(start)
    return {d.key: values[d.key] for d in SPACE if d.key not in fixed and d.applies(start)}
