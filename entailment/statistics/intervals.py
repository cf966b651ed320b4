"""Intervals of figures: what is said of all rows of the same source, from the few that were looked at.

An interval is about the figure that a model has on the population that its test rows were drawn from. There each cell
of the confusion matrix has a share of the rows, and macro-F1 is made of these shares as it is made of counts. (The
mean macro-F1 of many small samples is lower, because they at times miss a rare class; it is not what is meant.) At
95 % the interval is to hold that figure for 95 of 100 test splits; `python benchmarks/coverage.py` counts.

- A share of rows (accuracy, recall, precision) has Wilson's interval (Probable inference, the law of succession, and
  statistical inference, 1927). So has the F1 of a class: it is 2p / (1 + p), where p is the share of right answers
  among the rows that are of the class or were answered with it.
- Macro-F1 and differences have a Bayesian bootstrap (Rubin, The Bayesian bootstrap, 1981): each row gets a random
  weight, and the ends are quantiles of the figure over many draws. What the rows do not show is missing there: of a
  rare class all may be answered right by chance, or none may be among them. So the low end is taken with a third of
  a row more of each class, answered wrong, and the high end with as much answered right. Clopper and Pearson (The use
  of confidence or fiducial limits, 1934) add a whole row in this way to a single share; a third is the prior weight
  that favours neither side (Kerman, Neutral noninformative and informative conjugate beta and gamma prior
  distributions, 2011), and what the benchmark bears out.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.statistics.confusion import confusion_counts, scores
from entailment.statistics.wilson import tail_of, wilson

UNSEEN: Final = 1 / 3
"""Rows of each class that were not seen; where two sides are compared each has half of it."""
_ROW: Final = 2.0**20
"""Weight of a row: draws are rounded to whole numbers, whose sums have the same bits in whatever order."""
_WEIGHTS_AT_ONCE: Final = 2**22
"""Weights that are held together: 32 MiB."""

Scores = dict[str, NDArray[np.float64]]


def class_intervals(
    counts: NDArray[np.int64], confidence: float
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The ends of the intervals of `precision`, `recall` and `f1`, each [classes], of a confusion matrix."""
    hits, support, answered = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    low, high = wilson(hits, support + answered - hits, confidence)
    return {
        "precision": wilson(hits, answered, confidence),
        "recall": wilson(hits, support, confidence),
        "f1": (2 * low / (1 + low), 2 * high / (1 + high)),
    }


def macro_f1_interval(
    labels: NDArray[Any],
    predicted: NDArray[Any],
    classes: int,
    *,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float]:
    """The ends of the interval of macro-F1, or of its mean over several models: 0 to 1 where there is no row.

    `labels`: class indices, int [n]; `predicted`: int [models, n], what each answered. The same rows, in whatever
    order, and seed give the same bits. It tells about other rows, not about other seeds of the training: those are
    averaged over, not drawn. The interval holds the observed figure. Raises ValueError on wrong shapes or arguments.

    >>> labels = np.repeat([0, 1, 2], 20)
    >>> low, high = macro_f1_interval(labels, labels[None], 3, bootstrap_samples=500, confidence=0.95, seed=1)
    >>> low < 0.97 and high == 1
    True
    """
    tail = tail_of(confidence)
    observed = _observed(labels, predicted, classes)["macro_f1"].mean()
    worst, best = _drawn(labels, predicted, classes, bootstrap_samples, seed, UNSEEN)
    low = np.quantile(worst["macro_f1"].mean(axis=1), tail)
    high = np.quantile(best["macro_f1"].mean(axis=1), 1 - tail)
    return float(min(low, observed)), float(max(high, observed))


def paired_differences(
    labels: NDArray[Any],
    predicted_a: NDArray[Any],
    predicted_b: NDArray[Any],
    classes: int,
    *,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> dict[str, tuple[Any, Any, Any]]:
    """By figure that `scores` gives: a's less b's, each the mean over its models, and the ends of its interval.

    `labels`: class indices, int [n]; `predicted_a`, `predicted_b`: int [models, n], not necessarily as many. Every
    draw of weights is common to all of them, so what both sides get wrong does not count. The difference is real if
    the interval leaves 0 out. Raises ValueError on wrong shapes or arguments.

    >>> labels = np.repeat([0, 1, 2], 20)
    >>> options = {"bootstrap_samples": 500, "confidence": 0.95, "seed": 1}
    >>> difference, low, high = paired_differences(labels, labels[None], 0 * labels[None], 3, **options)["macro_f1"]
    >>> 0.7 < low < difference < high
    True
    """
    tail, first = tail_of(confidence), len(predicted_a)
    both = np.concatenate([predicted_a, predicted_b])
    observed = _observed(labels, both, classes)
    worst, best = _drawn(labels, both, classes, bootstrap_samples, seed, UNSEEN / 2)
    differences = {}
    for name, values in observed.items():
        difference = values[:first].mean(axis=0) - values[first:].mean(axis=0)
        low, high = (
            a[name][:, :first].mean(axis=1) - b[name][:, first:].mean(axis=1)
            for a, b in ((worst, best), (best, worst))
        )
        low, high = np.quantile(low, tail, axis=0), np.quantile(high, 1 - tail, axis=0)
        differences[name] = difference, np.minimum(low, difference), np.maximum(high, difference)
    return differences


def _observed(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> Scores:
    """Figures of each row of `predicted`, [models, ...]."""
    return scores(np.stack([confusion_counts(labels, answers, classes) for answers in predicted]))


def _drawn(
    labels: NDArray[Any], predicted: NDArray[Any], classes: int, samples: int, seed: int, unseen: float
) -> tuple[Scores, Scores]:
    """Figures of `predicted`, int [models, n], in each draw, [samples, models, ...]: unseen rows wrong, then right.

    Rows with the same label and the same answers get one weight: the sum of Gamma variables is one too. Only some
    draws' weights are held at once; how many does not change what is drawn.
    """
    if samples < 1:
        raise ValueError(f"bootstrap_samples must be at least 1. Received: {samples}")
    generator = np.random.default_rng(seed)
    unseen_rows = generator.standard_gamma(unseen, (samples, 1, classes, 1)) * _ROW
    cells, rows = _patterns(labels, predicted, classes)
    at_once = max(1, _WEIGHTS_AT_ONCE // len(rows))
    drawn = np.zeros((samples, len(predicted), classes**2))
    for start in range(0, samples, at_once):
        part = drawn[start : start + at_once]
        weights = np.rint(generator.standard_gamma(rows, (len(part), len(rows))) * _ROW)
        for model, of_model in enumerate(cells):
            order = np.argsort(of_model, kind="stable")
            found, starts = np.unique(of_model[order], return_index=True)
            part[:, model, found] = np.add.reduceat(weights[:, order], starts, axis=1)
    counts = drawn.reshape(samples, len(predicted), classes, classes)
    right = np.eye(classes)
    wrong = (1 - right) / (classes - 1)
    return scores(counts + np.rint(unseen_rows * wrong)), scores(counts + np.rint(unseen_rows * right))


def _patterns(
    labels: NDArray[Any], predicted: NDArray[Any], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct rows of answers: the cell of each model's confusion matrix, [models, patterns], and how often each is.

    One pattern that never occurs where there is no row.
    """
    if not labels.size:
        return np.zeros((len(predicted), 1), np.int64), np.zeros(1, np.int64)
    patterns = labels
    for answers in predicted:
        patterns = np.unique(patterns * classes + answers, return_inverse=True)[1]
    _, first, rows = np.unique(patterns, return_index=True, return_counts=True)
    return labels[first] * classes + predicted[:, first], rows
