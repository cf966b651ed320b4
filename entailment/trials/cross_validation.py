"""A cross-validation in figures: each fold, mean and standard deviation over them, and all answers pooled.

Every row is answered once, by the model that was not trained on it; pooled figures are those of all these answers
together. Folds share most of their training rows, so the deviation over them understates how much another sample of
pairs would change the mean (Bengio and Grandvalet, No unbiased estimator of the variance of k-fold cross-validation,
2004); the pooled interval is over rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.metric_names import MAJORITY_ACCURACY
from entailment.statistics.confusion import confusion_counts
from entailment.statistics.metrics import evaluate
from entailment.task import in_snake_case

if TYPE_CHECKING:
    import pandas as pd

INTERVAL: Final = ("macro_f1_low", "macro_f1_high")
MEAN, DEVIATION, POOLED = "mean", "std", "pooled"


@dataclass(frozen=True)
class FoldAnswers:
    """What the model of one fold answered to the rows of the fold."""

    labels: NDArray[np.int64]
    """True classes, int64 [n]."""
    probabilities: NDArray[Any]
    """float [n, classes]."""
    train_counts: tuple[int, ...]
    """Rows of each class that it was trained on; the largest is the baseline's answer."""


@dataclass(frozen=True)
class CrossValidation:
    """Figures of a cross-validation; means and pooled figures leave failed folds out."""

    folds: dict[int, dict[str, float] | str]
    """By fold, from 1, what `Metrics.as_dict()` gives, or why it failed."""
    mean: dict[str, float]
    """Of every figure of a fold; empty where every fold failed."""
    std: dict[str, float]
    """Standard deviation over the folds, with n - 1; empty below two folds."""
    pooled: dict[str, float]
    """What `Metrics.as_dict()` gives for all answers together; empty where every fold failed."""
    confusion: NDArray[np.int64]
    """Of all answers together, [classes, classes]; rows are the true class."""
    table: "pd.DataFrame"
    """A row for each fold, then MEAN, DEVIATION and POOLED; columns `fold`, `rows`, those of `fold_figures`, INTERVAL
    and `error`, NaN where there is no figure."""


def fold_figures(labels: Sequence[str]) -> list[str]:
    """What the table shows of a fold, between the columns `fold` and `rows` and INTERVAL and `error`."""
    by_class = (f"f1_{in_snake_case(label)}" for label in labels)
    return ["macro_f1", "accuracy", MAJORITY_ACCURACY, "balanced_accuracy", *by_class]


def cross_validation(
    folds: Mapping[int, FoldAnswers | str],
    labels: Sequence[str],
    *,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> CrossValidation:
    """Summarises the folds, by number from 1; a text says why a fold failed. `labels` are the classes' names.

    Raises ValueError on wrong shapes or arguments, DataError on probabilities that are not finite numbers.
    """
    resampling: dict[str, Any] = {
        "bootstrap_samples": bootstrap_samples,
        "confidence": confidence,
        "seed": seed,
    }
    answered = {number: fold for number, fold in folds.items() if isinstance(fold, FoldAnswers)}
    figures: dict[int, dict[str, float] | str] = {
        number: fold
        if isinstance(fold, str)
        else evaluate(
            fold.labels, fold.probabilities, labels, majority=_most_frequent(fold.train_counts), **resampling
        ).as_dict()
        for number, fold in folds.items()
    }
    each = [entry for entry in figures.values() if not isinstance(entry, str)]
    names = [name for name in (each[0] if each else ()) if all(name in entry for entry in each)]
    values = {name: [entry[name] for entry in each] for name in names}
    mean = {name: float(np.mean(found)) for name, found in values.items()}
    std = {name: float(np.std(found, ddof=1)) for name, found in values.items() if len(found) > 1}
    pooled: dict[str, float] = {}
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    if answered:
        whole = _pooled(list(answered.values()))
        majority = _most_frequent(whole.train_counts)
        pooled = evaluate(
            whole.labels, whole.probabilities, labels, majority=majority, **resampling
        ).as_dict()
        confusion = confusion_counts(whole.labels, whole.probabilities.argmax(axis=1), len(labels))
    rows = {number: len(fold.labels) for number, fold in answered.items()}
    table = _table(figures, rows, {MEAN: mean, DEVIATION: std, POOLED: pooled}, labels)
    return CrossValidation(figures, mean, std, pooled, confusion, table)


def _most_frequent(counts: tuple[int, ...]) -> int:
    return max(range(len(counts)), key=lambda index: counts[index])


def _pooled(folds: list[FoldAnswers]) -> FoldAnswers:
    counts = np.sum([fold.train_counts for fold in folds], axis=0)
    return FoldAnswers(
        np.concatenate([fold.labels for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
        tuple(int(count) for count in counts),
    )


def _table(
    folds: Mapping[int, Mapping[str, float] | str],
    rows: Mapping[int, int],
    totals: Mapping[str, Mapping[str, float]],
    labels: Sequence[str],
) -> "pd.DataFrame":
    import pandas as pd

    names, lines = fold_figures(labels), list[dict[str, Any]]()
    for number, figures in folds.items():
        known = {"error": figures} if isinstance(figures, str) else {**figures, "rows": rows[number]}
        lines.append({"error": "", **known, "fold": str(number)})
    for name, figures in totals.items():
        shown = figures if name == POOLED else {key: figures[key] for key in names if key in figures}
        lines.append({"error": "", **shown, "fold": name})
    lines[-1]["rows"] = sum(rows.values())
    table = pd.DataFrame(lines, columns=["fold", "rows", *names, *INTERVAL, "error"])
    numbers = ["rows", *names, *INTERVAL]
    return table.astype(dict.fromkeys(numbers, "float64"))
