"""Confusion matrices and the figures that are made from them.

Row i of a confusion matrix holds the rows whose true class is i, column j those answered with j.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def confusion_counts(true: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How often each true class (rows) was answered with each class (columns): int64 [classes, classes].

    Both arrays are class indices, int [n]. Raises ValueError on anything else.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            "true and predicted must be one-dimensional and equally long. "
            f"Received shapes: {true.shape} and {predicted.shape}"
        )
    _check_classes("true", true, classes)
    _check_classes("predicted", predicted, classes)
    cells = true.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def macro_f1(true: NDArray[Any], predicted: NDArray[Any], classes: int) -> float:
    """Mean of the classes' F1 for class indices, int [n]; a class with nothing right counts as 0.

    Equals scikit-learn's `f1_score(average="macro", labels=range(classes), zero_division=0)`. Raises ValueError as
    `confusion_counts` does.
    """
    return float(scores(confusion_counts(true, predicted, classes))["macro_f1"])


def scores(counts: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Figures of confusion matrices, whole numbers [..., classes, classes].

    `accuracy`, `macro_f1`, `balanced_accuracy`: float64 [...]; `precision`, `recall`, `f1`: float64 [..., classes]. A
    ratio without a denominator is 0; balanced accuracy leaves classes out that do not occur.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    # Where 1 stands below the line in place of 0, 0 stands above it.
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + answered, 1)
    return {
        "accuracy": hits.sum(axis=-1) / np.maximum(support.sum(axis=-1), 1),
        "macro_f1": f1.mean(axis=-1),
        "balanced_accuracy": recall.sum(axis=-1) / np.maximum((support > 0).sum(axis=-1), 1),
        "precision": hits / np.maximum(answered, 1),
        "recall": recall,
        "f1": f1,
    }


def _check_classes(name: str, values: NDArray[Any], classes: int) -> None:
    """Raises ValueError unless all values are integers that name a class."""
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers (class indices). Received: dtype {values.dtype}")
    wrong = np.flatnonzero((values < 0) | (values >= classes))
    if len(wrong):
        raise ValueError(
            f"{name} must hold class indices from 0 to {classes - 1}. "
            f"Received: {values[wrong[0]]} at position {wrong[0]}"
        )
