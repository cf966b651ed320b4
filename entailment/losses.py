"""Losses for imbalanced classes: each a function of integer labels and logits.

A new loss is a new function in LOSSES.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

LossFunction = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]
"""labels int [n], logits float32 [n, classes] -> loss float32 [n]."""


@dataclass(frozen=True)
class LossSettings:
    """What a loss is made from: the classes of the training rows, and the settings of `training` that it may read."""

    labels: "np.ndarray"
    """int [n]: classes of the training rows, which give class weights and class shares."""
    classes: int
    """How many there are."""
    class_weights: tuple[float, ...] | None = None
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    logit_adjustment: float = 0.0


def cross_entropy(settings: LossSettings) -> LossFunction:
    """Every row counts the same."""
    return _adjusted(settings, gamma=0.0, weights=[1.0] * settings.classes)


def weighted(settings: LossSettings) -> LossFunction:
    """Rows of rare classes count more: by `class_weights`, else by largest class count / class count."""
    weights = settings.class_weights or class_weights(settings.labels, settings.classes)
    return _adjusted(settings, gamma=0.0, weights=weights)


def focal(settings: LossSettings) -> LossFunction:
    """Rows that are answered right with certainty count less (Lin et al., 2017)."""
    return _adjusted(settings, gamma=settings.focal_gamma, weights=[1.0] * settings.classes)


LOSSES: Final[Mapping[str, Callable[[LossSettings], LossFunction]]] = MappingProxyType(
    {function.__name__: function for function in (cross_entropy, weighted, focal)}
)
"""Every loss by its name in `training.loss`."""


def class_weights(labels: "np.ndarray", classes: int) -> list[float]:
    """Largest class count / class count for each class, as the Keras example; an absent class weighs 1."""
    import numpy as np

    counts = np.bincount(labels, minlength=classes)
    return [float(counts.max() / count) if count else 1.0 for count in counts]


def log_shares(labels: "np.ndarray", classes: int) -> list[float]:
    """Logarithm of each class's share of the rows; an absent class counts as one row."""
    import numpy as np

    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    return [float(share) for share in np.log(counts / counts.sum())]


def focal_loss(
    gamma: float, weights: Sequence[float], smoothing: float = 0.0, offsets: Sequence[float] = (0.0,)
) -> LossFunction:
    """Weighted focal loss -w_y (1 - p_y)^gamma log p_y (Lin et al., 2017); gamma 0 is cross-entropy.

    `smoothing` is the share of the target that is spread evenly over all classes (Szegedy et al., 2016).
    `offsets` are added to the logits in the loss alone: with tau times the logarithm of the classes' shares
    the model learns logits that need no correction for rare classes (logit adjustment, Menon et al., 2021).
    """
    import tensorflow as tf

    class_weight, offset = tf.constant(weights, tf.float32), tf.constant(offsets, tf.float32)

    def loss(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
        labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
        if any(offsets):
            logits = logits + offset
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        # The bound keeps the gradient of (1 - p)^gamma finite at p = 1.
        doubt = tf.maximum(1.0 - tf.exp(-cross_entropy), 1e-7)
        weight = tf.gather(class_weight, labels) * doubt**gamma
        if smoothing:
            evenly = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
            cross_entropy = (1 - smoothing) * cross_entropy + smoothing * evenly
        return weight * cross_entropy

    return loss


def _adjusted(settings: LossSettings, gamma: float, weights: Sequence[float]) -> LossFunction:
    """The focal loss with label smoothing and logit adjustment as they are set."""
    shares = log_shares(settings.labels, settings.classes)
    offsets = [settings.logit_adjustment * share for share in shares]
    return focal_loss(gamma, weights, settings.label_smoothing, offsets)
