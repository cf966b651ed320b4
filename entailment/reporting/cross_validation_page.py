"""A cross-validation: the table in Markdown, a figure, and what the interactive page shows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from entailment.evaluation.samples import Sample
from entailment.evaluation.words_baseline import WORDS_ALONE
from entailment.metric_names import (
    MAJORITY_ACCURACY,
    WORDS_DIFFERENCE,
    WORDS_DIFFERENCE_HIGH,
    WORDS_DIFFERENCE_LOW,
    WORDS_MACRO_F1,
)
from entailment.reporting.figures import (
    FAINT,
    INK,
    RIGHT,
    TRAINING,
    WRONG,
    framed,
    heading,
    new_figure,
    samples_figure,
    write,
)
from entailment.reporting.fonts import fitted
from entailment.reporting.interactive_page import Cell, Page
from entailment.reporting.markdown import markdown_table
from entailment.reporting.shown_model import ShownModel
from entailment.reporting.verdict import compared_with
from entailment.trials.cross_validation import DEVIATION, INTERVAL, MEAN, POOLED, fold_figures

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def cross_validation_markdown(table: "pd.DataFrame", labels: Sequence[str], confidence: float) -> str:
    """The table in Markdown, and how to read it; `confidence` is the level of its intervals."""
    header, lines = _header(labels, confidence), []
    for row in table.to_dict("records"):
        texts = [cell.text for cell in _cells(row, labels)]
        lines.append([texts[0], *[""] * (len(header) - len(texts)), *texts[1:]])
    return (
        f"{markdown_table(header, lines)}\nEvery row is answered by a model that was not trained on it. `{POOLED}`:"
        f" all these answers together; its {confidence:.0%} bootstrap interval is over rows. `{DEVIATION}`: the"
        " standard deviation over the folds, which share most of their training rows. Words alone (TF-IDF, logistic"
        " regression) learned from each fold's training rows too.\n"
    )


def cross_validation_page(
    table: "pd.DataFrame",
    labels: Sequence[str],
    confidence: float,
    *,
    generated: bool,
    facts: Mapping[str, str],
    models: Sequence[ShownModel],
) -> Page:
    """What the interactive page shows of a cross-validation.

    Args:
        table: that of a `CrossValidation`.
        labels: the classes' names.
        confidence: the level of the intervals.
        generated: whether the data are.
        facts: what else is said of the run, by name.
        models: the folds that came to their end, and all of them together.
    """
    folds = int((~table["fold"].isin([MEAN, DEVIATION, POOLED])).sum())
    return Page(
        title=f"Cross-validation with {folds} folds",
        generated=generated,
        verdict=_verdict(table, confidence),
        facts=facts,
        labels=labels,
        columns=_header(labels, confidence),
        table=[_cells(row, labels) for row in table.to_dict("records")],
        explained={
            "fold": "A model answers the rows of its fold and was trained on the others.",
            POOLED: "All these answers together; the interval is over rows.",
            DEVIATION: "The standard deviation over the folds, which share most of their training rows.",
            "macro-F1": "The mean of the F1 of the classes: a rare class counts as much as a frequent one.",
            "macro-F1 of words alone": "What TF-IDF and logistic regression on both texts get, after the same rows.",
            "accuracy of the majority": "The accuracy of always answering the class that most training rows have.",
        },
        models=models,
    )


def _verdict(table: "pd.DataFrame", confidence: float) -> list[str]:
    rows = table.set_index("fold").to_dict("index")
    pooled = rows[POOLED]
    if np.isnan(pooled["accuracy"]):
        return ["Every fold failed."]
    low, high = (pooled[name] for name in INTERVAL)
    each = table.loc[~table["fold"].isin([MEAN, DEVIATION, POOLED]), "macro_f1"]
    return [
        f"All answers together: macro-F1 {pooled['macro_f1']:.3f} ({confidence:.0%} interval {low:.3f} to"
        f" {high:.3f}).",
        f"Accuracy is {pooled['accuracy']:.3f}; always answering the most frequent class gets"
        f" {pooled[MAJORITY_ACCURACY]:.3f}.",
        *_against_words(pooled, confidence),
        f"The folds lie between {each.min():.3f} and {each.max():.3f} in macro-F1.",
    ]


def _against_words(pooled: Mapping[Any, Any], confidence: float) -> list[str]:
    """What words alone get, in a sentence; none where they cannot answer."""
    if np.isnan(pooled[WORDS_MACRO_F1]):
        return []
    difference, low, high = (
        pooled[name] for name in (WORDS_DIFFERENCE, WORDS_DIFFERENCE_LOW, WORDS_DIFFERENCE_HIGH)
    )
    words = f"{WORDS_ALONE} ({pooled[WORDS_MACRO_F1]:.3f})"
    return [f"The model is {compared_with(words, difference, low, high, confidence)}."]


def _header(labels: Sequence[str], confidence: float) -> list[str]:
    header = ["fold", "rows", "macro-F1", f"{confidence:.0%} interval", "macro-F1 of words alone", "accuracy"]
    return [*header, "accuracy of the majority", "balanced accuracy", *(f"F1 {label}" for label in labels)]


def _cells(row: Mapping[Any, Any], labels: Sequence[str]) -> list[Cell]:
    """Of one row of the table; two where the fold failed."""
    name = Cell(row["fold"], row["fold"])
    if row["error"]:
        return [name, Cell(f"failed: {row['error']}")]
    figures = [
        Cell("" if np.isnan(row[name]) else f"{row[name]:.3f}", row[name]) for name in fold_figures(labels)
    ]
    low, high = (row[name] for name in INTERVAL)
    ends = Cell("") if np.isnan(low) else Cell(f"{low:.3f} to {high:.3f}", low, (low, high))
    size = Cell("" if np.isnan(row["rows"]) else f"{row['rows']:.0f}", row["rows"])
    return [name, size, figures[0], ends, *figures[1:]]


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
            write(axes, 0.01, y, fitted(reason, 9.5, inches=width - 1.8), 9.5, WRONG)
            continue
        color = RIGHT if pooled else TRAINING
        axes.plot(
            [row[name] for name in INTERVAL], [y, y], color=color, linewidth=2.4, solid_capstyle="round"
        )
        axes.plot(row["macro_f1"], y, "o", color=color, markersize=8)
        write(axes, row["macro_f1"], y - 0.3, f"{row['macro_f1']:.3f}", 9, INK, ha="center")
    axes.plot([mean, mean], [len(rows) - 0.4, -0.6], ":", color=FAINT, linewidth=1.4, zorder=0)
    framed(axes, "macro-F1 (dotted: mean of the folds)", rows=True)
    heading(figure, f"Macro-F1 of {len(rows) - 1} folds, {confidence:.0%} intervals", _below(by_name))
    return figure


def _below(by_name: Mapping[Any, Mapping[Any, Any]]) -> str:
    pooled = by_name[POOLED]
    if np.isnan(pooled["accuracy"]):
        return "every fold failed"
    words = pooled[WORDS_MACRO_F1]
    told = "" if np.isnan(words) else f", words alone {words:.3f}"
    accuracy = f"accuracy {pooled['accuracy']:.3f}, of the majority {pooled[MAJORITY_ACCURACY]:.3f}"
    return f"pooled macro-F1 {pooled['macro_f1']:.3f}{told}; {accuracy}"


def suspicious_labels_figure(shown: Sequence[Sample], found: int) -> "Figure":
    """The first of so many pairs whose labels are suspicious; the answer is the class suggested."""
    title = f"{len(shown)} of {found:,} labels that look suspicious"
    return samples_figure(
        shown, title, "the most suspicious first; the answer is the class that is suggested"
    )


def suspicious_labels_markdown(found: int, listed: int) -> str:
    """What `suspicious_labels.csv` lists, and how it was found."""
    return (
        f"{found} labels look suspicious; {listed} are in `suspicious_labels.csv`, the most suspicious first, for"
        " people to look at. `row` is counted from 1 in the file of pairs, without its header. The probabilities"
        " are those of models that were not trained on the row. Found by confident learning (Northcutt, Jiang and"
        " Chuang, Confident learning, 2021): a row is counted to a class when its probability is at least the mean"
        " probability of that class among the rows labelled so; its label is suspicious when that is another class."
        " The order is that of the probability of the label less the largest other one. Where a model is wrong, a"
        " right label looks suspicious too.\n"
    )
