"""Numbers added to the logits of the rarer classes for the best macro-F1: a decision, not a better probability."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.data.schema import LABELS
from entailment.evaluation.metrics import confusion_counts, scores

GRID: Final = np.linspace(-1.0, 4.0, 26)
"""Numbers that are tried for each class."""
_KERNEL: Final = np.array([1.0, 2.0, 1.0])


def fit_offsets(
    logits: NDArray[Any], labels: NDArray[Any], accuracy_weight: float = 0.0
) -> NDArray[np.float32]:
    """What to add to the logits of each class, float32 [3], 0 for the most frequent one.

    `logits`: float [n, 3] of rows that the model was not trained on; `labels`: class indices, int [n]. Every pair of
    numbers in GRID is tried for the two other classes. What is maximised is macro-F1 plus `accuracy_weight` times
    accuracy on these rows, averaged over the neighbouring pairs: the single best of 676 would be luck. Source of
    thresholds for F-measures: Lipton, Elkan and Naryanaswamy, Optimal thresholding of classifiers to maximize F1
    measure, 2014.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    frequent = int(np.bincount(labels, minlength=len(LABELS)).argmax())
    first, second = (index for index in range(len(LABELS)) if index != frequent)
    found = np.zeros((len(GRID), len(GRID)))
    for i, one in enumerate(GRID):
        for j, other in enumerate(GRID):
            moved = logits.copy()
            moved[:, first] += one
            moved[:, second] += other
            figures = scores(confusion_counts(labels, moved.argmax(axis=1)))
            found[i, j] = figures["macro_f1"] + accuracy_weight * figures["accuracy"]
    best = divmod(int(_smoothed(found).argmax()), len(GRID))
    offsets = np.zeros(len(LABELS), np.float32)
    offsets[[first, second]] = GRID[list(best)]
    return offsets


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over each cell and its eight neighbours, nearer ones counting more."""
    padded = np.pad(values, 1, mode="edge")
    rows, columns = values.shape
    weights = np.outer(_KERNEL, _KERNEL)
    smoothed: NDArray[np.float64] = np.zeros_like(values)
    for (i, j), weight in np.ndenumerate(weights / weights.sum()):
        smoothed += weight * padded[i : i + rows, j : j + columns]
    return smoothed
