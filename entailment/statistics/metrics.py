"""What is measured on a split: figures that a large class cannot flatter, most of them from one confusion matrix."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entailment.errors import DataError
from entailment.metric_names import BASELINE, in_group
from entailment.statistics.calibration import expected_calibration_error
from entailment.statistics.confusion import confusion_counts, macro_f1, scores
from entailment.statistics.intervals import class_intervals, macro_f1_interval, paired_differences
from entailment.statistics.wilson import wilson
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
    majority_difference: float
    """The model's macro-F1 less that, with the ends of its paired interval."""
    majority_difference_low: float
    majority_difference_high: float
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
    predicted = probabilities.argmax(axis=1)
    counts = confusion_counts(true, predicted, classes)
    figures = scores(counts)
    resampling: dict[str, Any] = {
        "bootstrap_samples": bootstrap_samples,
        "confidence": confidence,
        "seed": seed,
    }
    macro_f1_low, macro_f1_high = macro_f1_interval(true, predicted[None], classes, **resampling)
    always = np.full_like(true, majority)
    differences = paired_differences(true, predicted[None], always[None], classes, **resampling)
    difference, difference_low, difference_high = map(float, differences["macro_f1"])
    accuracy_low, accuracy_high = wilson(np.trace(counts), len(true), confidence)
    roc_auc, pr_auc = _mean_areas(areas_under_curves(true, probabilities, labels), labels)
    return Metrics(
        accuracy=float(figures["accuracy"]),
        macro_f1=float(figures["macro_f1"]),
        macro_f1_low=macro_f1_low,
        macro_f1_high=macro_f1_high,
        balanced_accuracy=float(figures["balanced_accuracy"]),
        majority_accuracy=float((true == majority).mean()),
        majority_macro_f1=macro_f1(true, always, classes),
        majority_difference=difference,
        majority_difference_low=difference_low,
        majority_difference_high=difference_high,
        f1={in_snake_case(name): float(f1) for name, f1 in zip(labels, figures["f1"], strict=True)},
        accuracy_low=float(accuracy_low),
        accuracy_high=float(accuracy_high),
        ece=expected_calibration_error(true, probabilities),
        roc_auc=roc_auc,
        pr_auc=pr_auc,
    )


def classification_report(
    true: NDArray[Any],
    probabilities: NDArray[Any],
    labels: Sequence[str],
    confidence: float,
) -> dict[str, dict[str, float | int | None]]:
    """What is measured of each class, by its name; ready for JSON.

    Precision, recall and f1, the support (rows of the class, int), an interval for each of the three (`_low`,
    `_high`), roc_auc and pr_auc (None where the class does not occur, or nothing else does). A ratio without a
    denominator is 0, its interval 0 to 1. Arguments and errors are those of `evaluate`.
    """
    true, probabilities = np.asarray(true), np.asarray(probabilities, np.float64)
    _check_probabilities(true, probabilities, len(labels))
    counts = confusion_counts(true, probabilities.argmax(axis=1), len(labels))
    names = ("precision", "recall", "f1")
    figures = scores(counts)
    intervals = class_intervals(counts, confidence)
    areas = areas_under_curves(true, probabilities, labels)
    report: dict[str, dict[str, float | int | None]] = {}
    for index, label in enumerate(labels):
        entry: dict[str, float | int | None] = {name: float(figures[name][index]) for name in names}
        entry["support"] = int(counts[index].sum())
        for name, (low, high) in intervals.items():
            entry |= {f"{name}_low": float(low[index]), f"{name}_high": float(high[index])}
        report[label] = entry | areas.get(label, {"roc_auc": None, "pr_auc": None})
    return report


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
