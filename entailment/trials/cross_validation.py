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

from entailment.configuration.model import ModelConfiguration
from entailment.data.split import fold_rows
from entailment.evaluation.words_baseline import rows_to_learn_from, texts_of, words_answers, words_figures
from entailment.metric_names import (
    MAJORITY_ACCURACY,
    MAJORITY_DIFFERENCE,
    MAJORITY_MACRO_F1,
    WORDS_ACCURACY,
    WORDS_DIFFERENCE,
    WORDS_DIFFERENCE_HIGH,
    WORDS_DIFFERENCE_LOW,
    WORDS_MACRO_F1,
)
from entailment.records.index import RecordsIndex
from entailment.statistics.confusion import confusion_counts
from entailment.statistics.metrics import evaluate
from entailment.task import in_snake_case, kinds_of

if TYPE_CHECKING:
    import pandas as pd

INTERVAL: Final = ("macro_f1_low", "macro_f1_high")
OF_BASELINES: Final = (
    *(MAJORITY_MACRO_F1, MAJORITY_DIFFERENCE, f"{MAJORITY_DIFFERENCE}_low", f"{MAJORITY_DIFFERENCE}_high"),
    *(WORDS_ACCURACY, WORDS_DIFFERENCE, WORDS_DIFFERENCE_LOW, WORDS_DIFFERENCE_HIGH),
)
MEAN, DEVIATION, POOLED = "mean", "std", "pooled"


@dataclass(frozen=True)
class FoldAnswers:
    """What the model of one fold answered to the rows of the fold."""

    labels: NDArray[np.int64]
    """True classes, int64 [n]."""
    probabilities: NDArray[Any]
    """float [n, classes]."""
    train_counts: tuple[int, ...]
    """Rows of each class that it was trained on; the largest is the majority baseline's answer."""
    words: NDArray[np.int64] | None = None
    """What words alone answer after the same training rows, int64 [n]; None where they cannot."""


@dataclass(frozen=True)
class CrossValidation:
    """Figures of a cross-validation; means and pooled figures leave failed folds out."""

    folds: dict[int, dict[str, float] | str]
    """By fold, from 1, what `Metrics.as_dict()` and `words_figures` give, or why it failed."""
    mean: dict[str, float]
    """Of every figure of a fold; empty where every fold failed."""
    std: dict[str, float]
    """Standard deviation over the folds, with n - 1; empty below two folds."""
    pooled: dict[str, float]
    """The same for all answers together; empty where every fold failed."""
    confusion: NDArray[np.int64]
    """Of all answers together, [classes, classes]; rows are the true class."""
    table: "pd.DataFrame"
    """A row for each fold, then MEAN, DEVIATION and POOLED; columns `fold`, `rows`, those of `fold_figures`,
    INTERVAL, OF_BASELINES and `error`, NaN where there is no figure."""


def fold_figures(labels: Sequence[str]) -> list[str]:
    """What the table shows of a fold, between the columns `fold` and `rows` and INTERVAL and `error`."""
    by_class = (f"f1_{in_snake_case(label)}" for label in labels)
    return ["macro_f1", WORDS_MACRO_F1, "accuracy", MAJORITY_ACCURACY, "balanced_accuracy", *by_class]


def words_of_folds(
    index: RecordsIndex, pairs: "pd.DataFrame", folds: int, config: ModelConfiguration
) -> list[NDArray[np.int64] | None]:
    """What words alone answer to the rows of each fold; None where the model sees no texts, or words cannot answer.

    `index`: of the undivided records; `pairs`: all of them with their texts.
    """
    if "text" not in kinds_of(config.inputs):
        return [None] * folds
    texts, labels = texts_of(index.ids, pairs), index.labels
    answers = []
    for rows in fold_rows(labels, folds, config.seed, config.split.validation_fraction):
        learned = rows.train[rows_to_learn_from(len(rows.train), config.seed)]
        answers.append(words_answers(texts[learned], labels[learned], texts[rows.test]))
    return answers


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
        number: fold if isinstance(fold, str) else _figures(fold, labels, resampling)
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
        pooled = _figures(whole, labels, resampling)
        confusion = confusion_counts(whole.labels, whole.probabilities.argmax(axis=1), len(labels))
    rows = {number: len(fold.labels) for number, fold in answered.items()}
    table = _table(figures, rows, {MEAN: mean, DEVIATION: std, POOLED: pooled}, labels)
    return CrossValidation(figures, mean, std, pooled, confusion, table)


def _figures(fold: FoldAnswers, labels: Sequence[str], resampling: Mapping[str, Any]) -> dict[str, float]:
    majority = max(range(len(fold.train_counts)), key=lambda index: fold.train_counts[index])
    figures = evaluate(fold.labels, fold.probabilities, labels, majority=majority, **resampling).as_dict()
    predicted = fold.probabilities.argmax(axis=1)[None]
    return figures | words_figures(fold.labels, predicted, fold.words, len(labels), **resampling)


def _pooled(folds: list[FoldAnswers]) -> FoldAnswers:
    counts = np.sum([fold.train_counts for fold in folds], axis=0)
    words = [fold.words for fold in folds if fold.words is not None]
    return FoldAnswers(
        np.concatenate([fold.labels for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
        tuple(int(count) for count in counts),
        np.concatenate(words) if len(words) == len(folds) else None,
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
    numbers = ["rows", *names, *INTERVAL, *OF_BASELINES]
    table = pd.DataFrame(lines, columns=["fold", *numbers, "error"])
    return table.astype(dict.fromkeys(numbers, "float64"))
