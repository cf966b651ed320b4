"""A cross-validation in figures: each fold, mean and standard deviation over them, and all answers pooled.

Every row is answered once, by the model that was not trained on it; pooled figures are those of all these answers
together. Folds share most of their training rows, so the deviation over them understates how much another sample of
pairs would change the mean (Bengio and Grandvalet, No unbiased estimator of the variance of k-fold cross-validation,
2004); the pooled bootstrap interval is over rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.data.schema import LABELS
from entailment.evaluation.figures import (
    FAINT,
    FONT,
    INK,
    PANEL,
    RIGHT,
    TRAINING,
    WRONG,
    heading,
    new_figure,
    wrapped,
    write,
)
from entailment.evaluation.markdown import markdown_table
from entailment.evaluation.metrics import confusion_counts, evaluate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES: Final = (
    "macro_f1",
    "accuracy",
    "majority_accuracy",
    "balanced_accuracy",
    "f1_contradictory",
    "f1_implies",
    "f1_no_entailment",
)
"""What the table shows."""
INTERVAL: Final = ("macro_f1_ci_low", "macro_f1_ci_high")
COLUMNS: Final = ("fold", "rows", *FIGURES, *INTERVAL, "error")
MEAN, DEVIATION, POOLED = "mean", "std", "pooled"


@dataclass(frozen=True)
class FoldAnswers:
    """What the model of one fold answered to the rows of the fold."""

    labels: NDArray[np.int64]
    """True classes, int64 [n]."""
    probabilities: NDArray[Any]
    """float [n, 3]."""
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
    """Of all answers together, [3, 3]; rows are the true class."""
    table: "pd.DataFrame"
    """Columns COLUMNS: a row for each fold, then MEAN, DEVIATION and POOLED; NaN where there is no figure."""


def cross_validation(
    folds: Mapping[int, FoldAnswers | str], *, bootstrap_samples: int, confidence: float, seed: int
) -> CrossValidation:
    """Summarises the folds, by number from 1; a text says why a fold failed.

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
            fold.labels, fold.probabilities, majority=_most_frequent(fold.train_counts), **resampling
        ).as_dict()
        for number, fold in folds.items()
    }
    each = [entry for entry in figures.values() if not isinstance(entry, str)]
    names = [name for name in (each[0] if each else ()) if all(name in entry for entry in each)]
    values = {name: [entry[name] for entry in each] for name in names}
    mean = {name: float(np.mean(found)) for name, found in values.items()}
    std = {name: float(np.std(found, ddof=1)) for name, found in values.items() if len(found) > 1}
    pooled: dict[str, float] = {}
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    if answered:
        whole = _pooled(list(answered.values()))
        majority = _most_frequent(whole.train_counts)
        pooled = evaluate(whole.labels, whole.probabilities, majority=majority, **resampling).as_dict()
        confusion = confusion_counts(whole.labels, whole.probabilities.argmax(axis=1))
    rows = {number: len(fold.labels) for number, fold in answered.items()}
    table = _table(figures, rows, {MEAN: mean, DEVIATION: std, POOLED: pooled})
    return CrossValidation(figures, mean, std, pooled, confusion, table)


def cross_validation_markdown(table: "pd.DataFrame", confidence: float) -> str:
    """The table in Markdown, and how to read it; `confidence` is the level of its intervals."""
    header = ["fold", "rows", "macro-F1", f"{confidence:.0%} interval", "accuracy", "majority baseline"]
    header += ["balanced accuracy", *(f"F1 {label}" for label in LABELS)]
    lines = []
    for row in table.to_dict("records"):
        if row["error"]:
            lines.append([row["fold"], *[""] * (len(header) - 2), f"failed: {row['error']}"])
            continue
        figures = ["" if np.isnan(row[name]) else f"{row[name]:.3f}" for name in FIGURES]
        low, high = (row[name] for name in INTERVAL)
        ends = "" if np.isnan(low) else f"{low:.3f} to {high:.3f}"
        size = "" if np.isnan(row["rows"]) else f"{row['rows']:.0f}"
        lines.append([row["fold"], size, figures[0], ends, *figures[1:]])
    return (
        f"{markdown_table(header, lines)}\nEvery row is answered by a model that was not trained on it. `{POOLED}`:"
        f" all these answers together; its {confidence:.0%} bootstrap interval is over rows. `{DEVIATION}`: the"
        " standard deviation over the folds, which share most of their training rows.\n"
    )


def cross_validation_figure(table: "pd.DataFrame", confidence: float) -> "Figure":
    """Macro-F1 of each fold and of all answers pooled, with intervals; a dotted line at the folds' mean."""
    by_name = {row["fold"]: row for row in table.to_dict("records")}
    mean = by_name[MEAN]["macro_f1"]
    rows = [row for name, row in by_name.items() if name not in (MEAN, DEVIATION)]
    figure = new_figure(8.4, 1.75 + 0.42 * len(rows))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((1.2 / width, 0.62 / height, (width - 1.6) / width, 1 - 1.55 / height))
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), yticks=[])
    for y, row in enumerate(rows):
        pooled = row["fold"] == POOLED
        write(axes, -0.02, y, POOLED if pooled else f"fold {row['fold']}", 10.5, INK, ha="right")
        if row["error"] or np.isnan(row["macro_f1"]):
            reason = f"failed: {row['error']}" if row["error"] else "every fold failed"
            write(axes, 0.01, y, wrapped(reason, 9.5, inches=width - 1.8, lines=1)[0], 9.5, WRONG)
            continue
        color = RIGHT if pooled else TRAINING
        axes.plot(
            [row[name] for name in INTERVAL], [y, y], color=color, linewidth=2.4, solid_capstyle="round"
        )
        axes.plot(row["macro_f1"], y, "o", color=color, markersize=8)
        write(axes, row["macro_f1"], y - 0.3, f"{row['macro_f1']:.3f}", 9, INK, ha="center")
    axes.plot([mean, mean], [len(rows) - 0.4, -0.6], ":", color=FAINT, linewidth=1.4, zorder=0)
    axes.tick_params(labelsize=9, labelfontfamily=FONT, colors=FAINT, labelcolor=INK)
    axes.set_xlabel("macro-F1 (dotted: mean of the folds)", fontsize=10, color=FAINT, family=FONT)
    axes.grid(axis="x", color=PANEL)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    heading(figure, f"Macro-F1 of {len(rows) - 1} folds, {confidence:.0%} intervals", _below(by_name))
    return figure


def _below(by_name: Mapping[Any, Mapping[Any, Any]]) -> str:
    pooled = by_name[POOLED]
    if np.isnan(pooled["accuracy"]):
        return "every fold failed"
    return f"pooled accuracy {pooled['accuracy']:.3f}, majority baseline {pooled['majority_accuracy']:.3f}"


def _most_frequent(counts: tuple[int, ...]) -> int:
    return max(range(len(LABELS)), key=lambda index: counts[index])


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
) -> "pd.DataFrame":
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for number, figures in folds.items():
        known = {"error": figures} if isinstance(figures, str) else {**figures, "rows": rows[number]}
        lines.append({"error": "", **known, "fold": str(number)})
    for name, figures in totals.items():
        shown = figures if name == POOLED else {key: figures[key] for key in FIGURES if key in figures}
        lines.append({"error": "", **shown, "fold": name})
    lines[-1]["rows"] = sum(rows.values())
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    numbers = ["rows", *FIGURES, *INTERVAL]
    return table.astype(dict.fromkeys(numbers, "float64"))
