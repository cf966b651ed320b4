"""What is measured on a split: figures that a large class cannot flatter, all from one confusion matrix.

Row i of a confusion matrix holds the rows whose true class is i, column j those answered with j.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entailment.data.schema import LABELS
from entailment.errors import DataError

CLASSES = len(LABELS)


@dataclass(frozen=True)
class Metrics:
    """The final figures of one split, each between 0 and 1; the field names are the names that are logged."""

    accuracy: float
    macro_f1: float
    macro_f1_ci_low: float
    macro_f1_ci_high: float
    balanced_accuracy: float
    majority_accuracy: float
    f1_contradictory: float
    f1_implies: float
    f1_no_entailment: float

    def as_dict(self, prefix: str = "") -> dict[str, float]:
        """The figures by name, each name behind `prefix` (such as `test_`)."""
        return {prefix + name: value for name, value in asdict(self).items()}


def evaluate(
    true: NDArray[Any],
    probabilities: NDArray[Any],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> Metrics:
    """All final figures of a split.

    `true`: class indices, int [n]. `probabilities`: float [n, 3] in the order of LABELS; the answer is the
    largest, the first of equals. `majority`: the most frequent class of the training rows;
    `majority_accuracy` is what answering it always gets on these rows. Balanced accuracy is the mean recall
    over the classes that occur. Same input and seed: the same figures, bit for bit.

    Raises ValueError on wrong shapes or arguments, DataError on no rows or on values that are not finite.
    """
    if not 0 <= majority < CLASSES:
        raise ValueError(f"majority must be a class index from 0 to {CLASSES - 1}. Received: {majority}")
    true, probabilities = np.asarray(true), np.asarray(probabilities, np.float64)
    _check_probabilities(true, probabilities)
    counts = confusion_counts(true, probabilities.argmax(axis=1))
    per_class = _f1_per_class(counts)
    low, high = _macro_f1_interval(counts, bootstrap_samples, confidence, seed)
    support = counts.sum(axis=1)
    recall = counts.diagonal() / np.maximum(support, 1)
    return Metrics(
        accuracy=float(counts.trace() / counts.sum()),
        macro_f1=float(per_class.mean()),
        macro_f1_ci_low=low,
        macro_f1_ci_high=high,
        balanced_accuracy=float(recall[support > 0].mean()),
        majority_accuracy=float(support[majority] / counts.sum()),
        f1_contradictory=float(per_class[0]),
        f1_implies=float(per_class[1]),
        f1_no_entailment=float(per_class[2]),
    )


def confusion_counts(true: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.int64]:
    """How often each true class (rows) was answered with each class (columns): int64 [3, 3].

    Both arguments are class indices, int [n]. Raises ValueError on anything else.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            "true and predicted must be one-dimensional and equally long. "
            f"Received shapes: {true.shape} and {predicted.shape}"
        )
    _check_classes("true", true)
    _check_classes("predicted", predicted)
    cells = true.astype(np.int64) * CLASSES + predicted.astype(np.int64)
    return np.bincount(cells, minlength=CLASSES**2).reshape(CLASSES, CLASSES).astype(np.int64)


def macro_f1(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Mean of the three classes' F1 for class indices, int [n]; a class with nothing right counts as 0.

    Equals scikit-learn's `f1_score(average="macro", labels=[0, 1, 2], zero_division=0)`. Raises ValueError as
    `confusion_counts` does.
    """
    return float(_f1_per_class(confusion_counts(true, predicted)).mean())


def classification_report(true: NDArray[Any], predicted: NDArray[Any]) -> dict[str, dict[str, float | int]]:
    """Precision, recall, f1 (floats) and support (number of rows, int) for each class name; ready for JSON.

    Both arguments are class indices, int [n]. A ratio without a denominator is 0. Raises ValueError as
    `confusion_counts` does.
    """
    counts = confusion_counts(true, predicted)
    hits, support = counts.diagonal(), counts.sum(axis=1)
    precision = hits / np.maximum(counts.sum(axis=0), 1)
    recall = hits / np.maximum(support, 1)
    f1 = _f1_per_class(counts)
    return {
        label: {
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, label in enumerate(LABELS)
    }


def _f1_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of each class, float64 [..., 3], of confusion matrices [..., 3, 3]; 0 where a class never occurs."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    either = counts.sum(axis=-1) + counts.sum(axis=-2)
    # A class without a hit has F1 0 whatever stands below the line, so 1 may stand there for 0.
    f1: NDArray[np.float64] = 2 * hits / np.maximum(either, 1)
    return f1


def _macro_f1_interval(
    counts: NDArray[np.int64], samples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of macro-F1 (Efron and Tibshirani, An Introduction to the Bootstrap,
    1993, section 13.3).

    Not stratified: whole rows are drawn with replacement, so the class counts vary too, as they would in
    another sample of posts (the one-sample bootstrap, same book, chapter 6). Holding them fixed would treat
    the share of the rare classes as known and leave that variance out of the interval. Drawing n rows and
    counting them into the 9 cells is one multinomial draw with the observed shares, so that is what is drawn:
    the cost does not grow with the number of rows.
    """
    if samples < 1:
        raise ValueError(f"bootstrap_samples must be at least 1. Received: {samples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1. Received: {confidence}")
    cells = counts.ravel()
    filled = np.flatnonzero(cells)
    # Empty cells stay out of the draw: rounding could otherwise leave a row in the last one.
    shares = cells[filled] / cells.sum()
    drawn = np.zeros((samples, CLASSES**2), np.int64)
    drawn[:, filled] = np.random.default_rng(seed).multinomial(cells.sum(), shares, size=samples)
    values = _f1_per_class(drawn.reshape(-1, CLASSES, CLASSES)).mean(axis=-1)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _check_probabilities(true: NDArray[Any], probabilities: NDArray[Any]) -> None:
    """Raises ValueError on wrong shapes, DataError on no rows or on a value that is not finite."""
    if probabilities.shape != (*true.shape, CLASSES):
        raise ValueError(
            f"probabilities must have one row for each true label and {CLASSES} columns. "
            f"Received shapes: true {true.shape}, probabilities {probabilities.shape}"
        )
    if not len(true):
        raise DataError(
            "There is no row to evaluate: the split is empty. Give it more rows or a larger share."
        )
    broken = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(broken):
        raise DataError(
            f"The model gave probabilities that are not finite numbers for {len(broken)} of {len(true)} rows "
            f"(first: row {broken[0]}, {probabilities[broken[0]].tolist()}). Its training has diverged, or a "
            "feature is not finite: check the features, or train with a lower learning rate."
        )


def _check_classes(name: str, values: NDArray[Any]) -> None:
    """Raises ValueError unless all values are integers that name a class."""
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers (class indices). Received: dtype {values.dtype}")
    wrong = np.flatnonzero((values < 0) | (values >= CLASSES))
    if len(wrong):
        raise ValueError(
            f"{name} must hold class indices from 0 to {CLASSES - 1}. "
            f"Received: {values[wrong[0]]} at position {wrong[0]}"
        )
