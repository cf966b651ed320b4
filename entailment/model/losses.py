"""Losses for imbalanced classes, each a function of integer labels and logits."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from entailment.configuration import Training
from entailment.data.schema import LABELS

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

LossFunction = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]
"""labels int [n], logits float32 [n, 3] -> loss float32 [n]."""


def build_loss(config: Training, labels: "np.ndarray") -> LossFunction:
    """The configured loss; `labels` (int [n], the training rows) give the class weights of `weighted`."""
    if config.loss == "cross_entropy":
        return focal_loss(gamma=0.0, weights=[1.0] * len(LABELS))
    if config.loss == "weighted":
        return focal_loss(gamma=0.0, weights=class_weights(labels))
    return focal_loss(gamma=config.focal_gamma, weights=[1.0] * len(LABELS))


def class_weights(labels: "np.ndarray") -> list[float]:
    """Largest class count / class count for each class, as the Keras example; an absent class weighs 1."""
    import numpy as np

    counts = np.bincount(labels, minlength=len(LABELS))
    return [float(counts.max() / count) if count else 1.0 for count in counts]


def focal_loss(gamma: float, weights: Sequence[float]) -> LossFunction:
    """Weighted focal loss -w_y (1 - p_y)^gamma log p_y (Lin et al., 2017); gamma 0 is cross-entropy."""
    import tensorflow as tf

    class_weight = tf.constant(weights, tf.float32)

    def loss(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
        labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        # The bound keeps the gradient of (1 - p)^gamma finite at p = 1.
        doubt = tf.maximum(1.0 - tf.exp(-cross_entropy), 1e-7)
        return tf.gather(class_weight, labels) * doubt**gamma * cross_entropy

    return loss
