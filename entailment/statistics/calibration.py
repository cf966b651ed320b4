"""How far a model's probabilities can be taken at their word, and the temperature that makes them better.

Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, 2017 (expected calibration error,
reliability diagrams, temperature scaling).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.statistics.wilson import wilson

BINS: Final = 15
COLDEST: Final = 0.05
"""The lowest temperature that is fitted."""
HOTTEST: Final = 20.0
"""The highest."""
PRIOR: Final = 4.0
"""Rate of the Gamma prior on 1 / T; its shape is one more, so that its mode is 1 (its deviation is 0.56)."""
_HALVINGS: Final = 60
_FOLDS: Final = 5
_TIMES: Final = 10
_ENOUGH: Final = 5000
"""Rows that are cut once: among so many it makes no difference how."""


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities, float64 [n, classes], of logits [n, classes]."""
    shifted = np.asarray(logits, np.float64)
    powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def fit_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The T in [0.05, 20] for which softmax(logits / T) explains the labels best.

    `logits`: float [n, classes]; `labels`: class indices, int [n]. What is minimised over b = 1 / T is the negative
    log-likelihood of all rows plus PRIOR * (b - 1 - log b): a Gamma prior on b whose mode is 1. Sixty rows that all
    happen to be answered right would otherwise ask for certainty without bounds; among many rows it makes no
    difference. (On the sample data and on real texts, three losses each, 8 to 12 splits with 60 validation rows, this
    lowered the test rows' mean negative log-likelihood every time; without the prior it rose by two thirds once.)

    The sum is convex in b, so its slope is halved down to a sign: no start, no step size, the same bits every time.
    Raises ValueError on no rows, other shapes or values that are not finite.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            "logits must be [n, classes] and labels [n], with at least one row. "
            f"Received shapes: {logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite numbers. Received: one that is not")
    of_the_labels = logits[np.arange(len(labels)), labels].sum()
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(_HALVINGS):
        b = (low + high) / 2
        slope = (softmax(logits * b) * logits).sum() - of_the_labels + PRIOR * (1 - 1 / b)
        low, high = (b, high) if slope < 0 else (low, b)
    return float(np.clip(2 / (low + high), COLDEST, HOTTEST))


def helpful_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The fitted temperature, or 1 where none helps rows that it was not fitted on.

    The rows are cut into five folds with alike shares of the classes, up to ten times anew where rows are few; each
    is judged by the temperature of the others. It stays 1 where their negative log-likelihood is not lower than with
    1, or rows are fewer than folds. Arguments and errors are those of `fit_temperature`.
    """
    fitted = fit_temperature(logits, labels)
    if len(labels) < _FOLDS:
        return 1.0
    generator = np.random.default_rng(0)
    times = max(1, min(_TIMES, _ENOUGH // len(labels)))
    gain = sum(_gain(logits, labels, generator.permutation(len(labels))) for _ in range(times))
    return fitted if gain > 0 else 1.0


def _gain(logits: NDArray[Any], labels: NDArray[Any], order: NDArray[np.int64]) -> float:
    """By how much temperatures of the other folds lower the negative log-likelihood of each; `order` makes them."""
    fold = np.empty(len(labels), np.int64)
    fold[order[np.argsort(labels[order], kind="stable")]] = np.arange(len(labels)) % _FOLDS
    gain = 0.0
    for number in range(_FOLDS):
        inside = fold == number
        others = fit_temperature(logits[~inside], labels[~inside])
        kept, tempered = (
            negative_log_likelihood(labels[inside], softmax(logits[inside] / temperature))
            for temperature in (1.0, others)
        )
        gain += float(inside.sum()) * (kept - tempered)
    return gain


def expected_calibration_error(true: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Mean distance between confidence and accuracy over bins of equal width, weighted by their rows; 0 to 1.

    `true`: class indices, int [n]; `probabilities`: float [n, classes], as the softmax gives them. Confidence is the
    largest of a row, and its class the answer. Raises ValueError on no rows.
    """
    rows, confidence, accuracy = _binned(true, probabilities)
    return float(np.abs(confidence - accuracy).sum() / rows.sum())


def negative_log_likelihood(true: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Mean of -log of the probability that each row's class was given.

    `true`: class indices, int [n]; `probabilities`: float [n, classes].
    """
    of_the_label = np.asarray(probabilities, np.float64)[np.arange(len(true)), true]
    # Probabilities are float32: one below this reads as 0, whose logarithm is no number.
    return float(-np.log(np.maximum(of_the_label, np.finfo(np.float32).tiny)).mean())


def calibration_report(
    true: NDArray[Any], before: NDArray[Any], after: NDArray[Any], temperature: float, confidence: float
) -> dict[str, Any]:
    """Calibration without and with the temperature; ready for JSON.

    `true`: class indices, int [n]; `before` and `after`: probabilities, float [n, classes], without and with it;
    `confidence`: level of the intervals. `verdict` says in words what the temperature did. Each side has `ece`,
    `negative_log_likelihood` and `bins`, each with `above` and `up_to` (its bounds), `rows`, mean `confidence`,
    `accuracy` and the ends of its interval, `accuracy_low` and `accuracy_high` (None in an empty bin).
    """
    sides = {
        name: {
            "ece": expected_calibration_error(true, probabilities),
            "negative_log_likelihood": negative_log_likelihood(true, probabilities),
            "bins": _bins(true, probabilities, confidence),
        }
        for name, probabilities in {"before": before, "after": after}.items()
    }
    losses = [negative_log_likelihood(true, probabilities) for probabilities in (before, after)]
    return {"temperature": float(temperature), "verdict": _verdict(temperature, *losses), **sides}


def _verdict(temperature: float, before: float, after: float) -> str:
    if temperature == 1:
        return "The temperature is 1: a fitted one did not help validation rows that it was not fitted on."
    change = f"the negative log-likelihood of these rows went from {before:.3f} to {after:.3f}"
    if after > before:
        return f"The temperature made it worse here: {change}. It stays, because these rows decide nothing."
    return f"The temperature made it better here: {change}."


def _bins(
    true: NDArray[Any], probabilities: NDArray[Any], level: float
) -> list[dict[str, float | int | None]]:
    rows, confidence, accuracy = _binned(true, probabilities)
    low, high = wilson(accuracy, rows, level)
    return [
        {
            "above": index / BINS,
            "up_to": (index + 1) / BINS,
            "rows": int(rows[index]),
            "confidence": float(confidence[index] / rows[index]) if rows[index] else None,
            "accuracy": float(accuracy[index] / rows[index]) if rows[index] else None,
            "accuracy_low": float(low[index]) if rows[index] else None,
            "accuracy_high": float(high[index]) if rows[index] else None,
        }
        for index in range(BINS)
    ]


def _binned(
    true: NDArray[Any], probabilities: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """For each bin, open below and closed above: its rows, the sum of their confidence, and their right answers."""
    true, probabilities = np.asarray(true), np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or true.shape != probabilities.shape[:1] or not len(true):
        raise ValueError(
            "true must be [n] and probabilities [n, classes], with at least one row. "
            f"Received shapes: {true.shape} and {probabilities.shape}"
        )
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == true
    index = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    rows, sums, hits = (np.bincount(index, of, BINS) for of in (np.ones(len(true)), confidence, right))
    return rows.astype(np.int64), sums.astype(np.float64), hits.astype(np.float64)
