"""What is measured on a split: figures that a large class cannot flatter, most of them from one confusion matrix.

Row i of a confusion matrix holds the rows whose true class is i, column j those answered with j. Intervals are
percentile bootstrap intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3); all
those of a split come from the same resamples.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entailment.errors import DataError
from entailment.metric_names import BASELINE, in_group
from entailment.statistics.calibration import expected_calibration_error
from entailment.task import in_snake_case

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metrics:
    """The final figures of one split, each between 0 and 1; the field names are the names that are logged, and `f1_`
    before the name of a class."""

    accuracy: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    balanced_accuracy: float
    majority_accuracy: float
    """Of always answering the majority class; so is the next."""
    majority_macro_f1: float
    f1: Mapping[str, float]
    """By class, its name in snake case."""
    accuracy_low: float
    accuracy_high: float
    ece: float
    """Expected calibration error (`entailment.statistics.calibration`)."""
    roc_auc: float | None
    """Mean area under the ROC curves of each class against the rest; None where all rows are of one class."""
    pr_auc: float | None
    """Mean area under their precision-recall curves (average precision), likewise."""

    def as_dict(self, group: str = "") -> dict[str, float]:
        """The figures by name without those that are None, in `group` (such as `test/`); a baseline's in its own."""
        figures: dict[str, float] = {}
        for name, value in asdict(self).items():
            name = BASELINE + name if name.startswith("majority") else name
            by_class = {f"f1_{label}": f1 for label, f1 in value.items()} if name == "f1" else {name: value}
            figures |= {figure: number for figure, number in by_class.items() if number is not None}
        return in_group(figures, group)


def evaluate(
    true: NDArray[Any],
    probabilities: NDArray[Any],
    labels: Sequence[str],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> Metrics:
    """All final figures of a split.

    `true`: class indices, int [n]. `probabilities`: float [n, classes] in the order of `labels`, the
    classes' names; the answer is the largest, the first of equals. `majority`: the most frequent class of the
    training rows; `majority_accuracy` is what answering it always gets on these rows. Balanced accuracy is the mean
    recall over the classes that occur; ROC-AUC and PR-AUC leave a class out that does not occur, and a warning says
    so. Same input and seed: the same figures, bit for bit.

    Raises ValueError on wrong shapes or arguments, DataError on no rows or on values that are not finite.
    """
    classes = len(labels)
    if not 0 <= majority < classes:
        raise ValueError(f"majority must be a class index from 0 to {classes - 1}. Received: {majority}")
    true, probabilities = np.asarray(true), np.asarray(probabilities, np.float64)
    _check_probabilities(true, probabilities, len(labels))
    counts = confusion_counts(true, probabilities.argmax(axis=1), len(labels))
    figures = scores(counts)
    drawn = scores(resampled_counts(counts, bootstrap_samples, seed))
    macro_f1_low, macro_f1_high = interval(drawn["macro_f1"], confidence)
    accuracy_low, accuracy_high = interval(drawn["accuracy"], confidence)
    roc_auc, pr_auc = _mean_areas(areas_under_curves(true, probabilities, labels), labels)
    return Metrics(
        accuracy=float(figures["accuracy"]),
        macro_f1=float(figures["macro_f1"]),
        macro_f1_low=float(macro_f1_low),
        macro_f1_high=float(macro_f1_high),
        balanced_accuracy=float(figures["balanced_accuracy"]),
        majority_accuracy=float((true == majority).mean()),
        majority_macro_f1=macro_f1(true, np.full_like(true, majority), classes),
        f1={in_snake_case(name): float(f1) for name, f1 in zip(labels, figures["f1"], strict=True)},
        accuracy_low=float(accuracy_low),
        accuracy_high=float(accuracy_high),
        ece=expected_calibration_error(true, probabilities),
        roc_auc=roc_auc,
        pr_auc=pr_auc,
    )


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


def classification_report(
    true: NDArray[Any],
    probabilities: NDArray[Any],
    labels: Sequence[str],
    *,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> dict[str, dict[str, float | int | None]]:
    """What is measured of each class, by its name; ready for JSON.

    Precision, recall and f1, the support (rows of the class, int), an interval for each of the three (`_low`,
    `_high`; the resamples are those of `evaluate`), roc_auc and pr_auc (None where the class does not occur, or
    nothing else does). A ratio without a denominator is 0, also in a resample. Arguments and errors are those of
    `evaluate`.
    """
    true, probabilities = np.asarray(true), np.asarray(probabilities, np.float64)
    _check_probabilities(true, probabilities, len(labels))
    counts = confusion_counts(true, probabilities.argmax(axis=1), len(labels))
    names = ("precision", "recall", "f1")
    figures = scores(counts)
    drawn = scores(resampled_counts(counts, bootstrap_samples, seed))
    intervals = {name: interval(drawn[name], confidence) for name in names}
    areas = areas_under_curves(true, probabilities, labels)
    report: dict[str, dict[str, float | int | None]] = {}
    for index, label in enumerate(labels):
        entry: dict[str, float | int | None] = {name: float(figures[name][index]) for name in names}
        entry["support"] = int(counts[index].sum())
        for name, (low, high) in intervals.items():
            entry |= {f"{name}_low": float(low[index]), f"{name}_high": float(high[index])}
        report[label] = entry | areas.get(label, {"roc_auc": None, "pr_auc": None})
    return report


def scores(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Figures of confusion matrices, int [..., classes, classes].

    `accuracy`, `macro_f1`, `balanced_accuracy`: float64 [...]; `precision`, `recall`, `f1`: float64 [..., classes]. A
    ratio without a denominator is 0; balanced accuracy leaves classes out that do not occur.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    recall = hits / np.maximum(support, 1)
    f1 = f1_scores(hits, support, answered)
    return {
        "accuracy": hits.sum(axis=-1) / support.sum(axis=-1),
        "macro_f1": f1.mean(axis=-1),
        "balanced_accuracy": recall.sum(axis=-1) / (support > 0).sum(axis=-1),
        "precision": hits / np.maximum(answered, 1),
        "recall": recall,
        "f1": f1,
    }


def f1_scores(hits: NDArray[Any], support: NDArray[Any], answered: NDArray[Any]) -> NDArray[np.float64]:
    """F1 from the numbers of right answers, of rows of a class, and of answers with it; 0 where there is neither."""
    # A class without a hit has F1 0 whatever stands below the line, so 1 may stand there for 0.
    f1: NDArray[np.float64] = 2 * hits / np.maximum(support + answered, 1)
    return f1


def resampled_counts(counts: NDArray[np.int64], samples: int, seed: int) -> NDArray[np.int64]:
    """The confusion matrices, int64 [samples, classes, classes], of as many resamples of the rows of one.

    Not stratified: whole rows are drawn with replacement, so the class counts vary too, as they would in
    another sample of posts (the one-sample bootstrap, same book, chapter 6). Holding them fixed would treat
    the share of the rare classes as known and leave that variance out of the interval. Drawing n rows and
    counting them into the cells is one multinomial draw with the observed shares, so that is what is drawn:
    the cost does not grow with the number of rows. Raises ValueError if `samples` is below 1.
    """
    if samples < 1:
        raise ValueError(f"bootstrap_samples must be at least 1. Received: {samples}")
    cells = counts.ravel()
    filled = np.flatnonzero(cells)
    # Empty cells stay out of the draw: rounding could otherwise leave a row in the last one.
    shares = cells[filled] / cells.sum()
    drawn = np.zeros((samples, counts.size), np.int64)
    drawn[:, filled] = np.random.default_rng(seed).multinomial(cells.sum(), shares, size=samples)
    return drawn.reshape(-1, *counts.shape)


def interval(values: NDArray[np.float64], confidence: float) -> tuple[Any, Any]:
    """The percentile interval of resampled figures, float64 [samples, ...]: its two ends, each [...].

    Raises ValueError unless `confidence` lies between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1. Received: {confidence}")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def areas_under_curves(
    true: NDArray[Any], probabilities: NDArray[Any], labels: Sequence[str]
) -> dict[str, dict[str, float | int | None]]:
    """`roc_auc` and `pr_auc` (average precision) of each class against the rest, by class name.

    `true`: int [n]; `probabilities`: float [n, classes]. A class that does not occur, or that is the only one, has
    neither: it is left out.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    areas: dict[str, dict[str, float | int | None]] = {}
    for index, label in enumerate(labels):
        own, probability = true == index, probabilities[:, index]
        if own.any() and not own.all():
            areas[label] = {
                "roc_auc": float(roc_auc_score(own, probability)),
                "pr_auc": float(average_precision_score(own, probability)),
            }
    return areas


def _mean_areas(areas: dict[str, dict[str, Any]], labels: Sequence[str]) -> tuple[float | None, float | None]:
    """Means over the classes that have areas, None where none has; says which have none."""
    if len(areas) < len(labels):
        absent = ", ".join(label for label in labels if label not in areas)
        _LOG.warning("ROC-AUC and PR-AUC leave out %s: no such rows here, or no others.", absent)
    if not areas:
        return None, None
    roc_auc, pr_auc = (
        float(np.mean([entry[name] for entry in areas.values()])) for name in ("roc_auc", "pr_auc")
    )
    return roc_auc, pr_auc


def _check_probabilities(true: NDArray[Any], probabilities: NDArray[Any], classes: int) -> None:
    """Raises ValueError on wrong shapes, DataError on no rows or on a value that is not finite."""
    if probabilities.shape != (*true.shape, classes):
        raise ValueError(
            f"probabilities must have one row for each true label and {classes} columns. "
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
