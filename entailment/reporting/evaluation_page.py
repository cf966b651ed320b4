"""What is shown of an evaluated split: tables in Markdown, and figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from entailment.configuration.model import ModelConfiguration
from entailment.evaluation.report import EvaluatedSplit
from entailment.model.training import TrainedHead
from entailment.records.index import pairs_in_order
from entailment.reporting.description import headline
from entailment.reporting.figures import (
    confusion_matrix_figure,
    reliability_figure,
    samples_figure,
    sentence_figure,
    training_curves_figure,
)
from entailment.reporting.markdown import markdown_table
from entailment.reporting.model_graph import model_figure, served_model_figure
from entailment.task import ID, LABEL, TEXT, probability_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


_ROWS: Final = 1000
_CHARACTERS: Final = 500
"""Of a text; so much of both a browser shows in one table without delay."""


def evaluation_figures(
    evaluated: EvaluatedSplit, head: TrainedHead, config: ModelConfiguration
) -> "dict[str, Figure]":
    """The pictures of an evaluated split and of the model, by file name."""
    labels, counts = evaluated.confusion["labels"], np.array(evaluated.confusion["counts"])
    metrics, shown, errors = evaluated.metrics, evaluated.samples, evaluated.confident_errors
    rows, wrong = len(evaluated.predictions), int(counts.sum() - counts.trace())
    title = headline("Test", metrics.macro_f1, metrics.accuracy, metrics.majority_accuracy)
    no_errors = f"No errors: all {rows} test rows were answered right."
    samples = samples_figure(
        shown,
        f"{len(shown)} of {rows:,} test rows",
        "class by class: the first right answers, and where there is room the first wrong ones",
    )
    surest = (
        samples_figure(
            errors,
            f"{len(errors)} of {wrong:,} wrong answers",
            f"the surest of {rows:,} test rows, the surest first",
        )
        if errors
        else sentence_figure(no_errors)
    )
    return {
        "confusion_matrix.png": confusion_matrix_figure(counts, labels, title),
        "samples.png": samples,
        "confident_errors.png": surest,
        "reliability.png": reliability_figure(evaluated.calibration, f"Calibration on the {rows} test rows"),
        "model.png": model_figure(head.model, config),
        "served_model.png": served_model_figure(head.model, config),
        "training_curves.png": training_curves_figure(head.history, head.best_epoch),
    }


def rows_to_read(
    predictions: "pd.DataFrame", splits: "pd.DataFrame", labels: Sequence[str]
) -> "pd.DataFrame":
    """Predictions behind how both texts of their pair begin, wrong answers first, 1,000 rows at most.

    MLflow groups by the first column and compares the second. `predictions`: with `true_label`; `splits`: the pairs.
    """
    right = predictions["true_label"] == predictions[LABEL]
    shown = predictions.iloc[np.argsort(right.to_numpy(bool), kind="stable")[:_ROWS]]
    texts = pairs_in_order(shown, splits[[*ID, *TEXT]])
    begun, ended = (texts[name].str[:_CHARACTERS] for name in TEXT)
    answered = shown[[LABEL, "true_label", *probability_columns(labels), *ID]].reset_index(drop=True)
    answered.insert(0, "pair", begun + "\n" + ended)
    return answered


def slices_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of what `table_records` gives of a slice table, one line for each slice."""
    labels = [name.removeprefix("rows_") for name in rows[0] if name.startswith("rows_")]
    header = ["slice", "what", "rows", "/".join(labels), "accuracy", "majority", "macro-F1", "interval"]
    lines = []
    for row in rows:
        by_class = "/".join(str(row[f"rows_{label}"]) for label in labels)
        figures = ["too few rows", "", "", ""] if row["rows"] else ["no rows", "", "", ""]
        if row["macro_f1"] is not None:
            figures = [f"{row[name]:.3f}" for name in ("accuracy", "majority_accuracy", "macro_f1")]
            figures.append(f"{row['macro_f1_low']:.3f} to {row['macro_f1_high']:.3f}")
        lines.append([row["slice"], row["what"], f"{row['rows']:,}", by_class, *figures])
    return markdown_table(header, lines)


def missing_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of what `table_records` gives of `missing_modalities_table`."""
    header = ["missing", "rows", "accuracy", "majority", "macro-F1", "interval", "difference", "its interval"]
    lines = []
    for row in rows:
        ends = f"{row['macro_f1_low']:.3f} to {row['macro_f1_high']:.3f}"
        lost = ["", ""]
        if row["difference"] is not None:
            lost = [
                f"{row['difference']:+.3f}",
                f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}",
            ]
        figures = [f"{row[name]:.3f}" for name in ("accuracy", "majority_accuracy", "macro_f1")]
        lines.append([row["missing"].replace("_", " "), f"{row['rows']:,}", *figures, ends, *lost])
    return markdown_table(header, lines)
