"""Losses against their formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from entailment.losses import LOSSES, LossSettings, class_weights, focal_loss

LABELS = np.array([0, 1, 2, 2])
LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.5, 0.4, 0.1]], np.float32))
CHOSEN = np.array([0.7, 0.6, 0.6, 0.1])


def test_cross_entropy_is_keras_s():
    expected = keras.losses.sparse_categorical_crossentropy(LABELS, LOGITS, from_logits=True)
    actual = LOSSES["cross_entropy"](LossSettings(LABELS, 3))(LABELS, LOGITS)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_class_weights_are_largest_count_over_count():
    assert class_weights(np.repeat([0, 1, 2], [109, 109, 1182]), 3) == pytest.approx(
        [10.84, 10.84, 1], abs=0.01
    )
    assert class_weights(np.array([0, 0, 2]), 3) == [1, 1, 2]


def test_weighted_multiplies_by_the_weight_of_the_true_class():
    actual = LOSSES["weighted"](LossSettings(LABELS, 3))(LABELS, LOGITS)
    np.testing.assert_allclose(actual, np.array([2, 2, 1, 1]) * -np.log(CHOSEN), rtol=1e-5)


def test_focal_plays_down_easy_rows():
    actual = LOSSES["focal"](LossSettings(LABELS, 3, focal_gamma=3))(LABELS, LOGITS)
    np.testing.assert_allclose(actual, (1 - CHOSEN) ** 3 * -np.log(CHOSEN), rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("logits", [[[500.0, 0, 0]], [[0.0, 0, 500]]])
def test_certainty_gives_finite_loss_and_gradient(gamma, logits):
    value = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = focal_loss(gamma, [1, 1, 1])(tf.constant([0]), value)
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(tape.gradient(loss, value).numpy()).all()


def test_smoothing_spreads_part_of_the_target():
    actual = LOSSES["cross_entropy"](LossSettings(LABELS, 3, label_smoothing=0.3))(LABELS, LOGITS)
    evenly = -np.log(np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(actual, 0.7 * -np.log(CHOSEN) + 0.3 * evenly, rtol=1e-5)


def test_given_class_weights_replace_the_counted_ones():
    actual = LOSSES["weighted"](LossSettings(LABELS, 3, class_weights=(5, 1, 0.5)))(LABELS, LOGITS)
    np.testing.assert_allclose(actual, np.array([5, 1, 0.5, 0.5]) * -np.log(CHOSEN), rtol=1e-5)


def test_logit_adjustment_asks_more_of_rare_classes():
    even = np.zeros((3, 3), np.float32)
    labels = np.array([0, 1, 2])
    shares = np.array([0, 2, 2, 2, 2, 2, 2, 2, 2, 1])
    adjusted = LOSSES["cross_entropy"](LossSettings(shares, 3, logit_adjustment=1.0))(labels, even)
    np.testing.assert_allclose(adjusted, -np.log([0.1, 0.1, 0.8]), rtol=1e-5)
