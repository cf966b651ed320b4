"""Losses for imbalanced classes, each a function of integer labels and logits."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from entailment.configuration.training import Training

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

LossFunction = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]
"""labels int [n], logits float32 [n, classes] -> loss float32 [n]."""


def build_loss(config: Training, labels: "np.ndarray", classes: int) -> LossFunction:
    """The configured loss; `labels` (int [n], the training rows) give class weights and class shares."""
    even = [1.0] * classes
    return focal_loss(
        gamma=config.focal_gamma if config.loss == "focal" else 0.0,
        weights=config.class_weights or class_weights(labels, classes) if config.loss == "weighted" else even,
        smoothing=config.label_smoothing,
        offsets=[config.logit_adjustment * share for share in log_shares(labels, classes)],
    )


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
