"""A cross-validation: the table in Markdown, and a figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from entailment.metric_names import MAJORITY_ACCURACY
from entailment.reporting.figures import FAINT, INK, PANEL, RIGHT, TRAINING, WRONG, heading, new_figure, write
from entailment.reporting.fonts import FONT, fitted
from entailment.reporting.markdown import markdown_table
from entailment.trials.cross_validation import DEVIATION, INTERVAL, MEAN, POOLED, fold_figures

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def cross_validation_markdown(table: "pd.DataFrame", labels: Sequence[str], confidence: float) -> str:
    """The table in Markdown, and how to read it; `confidence` is the level of its intervals."""
    header = ["fold", "rows", "macro-F1", f"{confidence:.0%} interval", "accuracy", "majority baseline"]
    header += ["balanced accuracy", *(f"F1 {label}" for label in labels)]
    lines = []
    for row in table.to_dict("records"):
        if row["error"]:
            lines.append([row["fold"], *[""] * (len(header) - 2), f"failed: {row['error']}"])
            continue
        figures = ["" if np.isnan(row[name]) else f"{row[name]:.3f}" for name in fold_figures(labels)]
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
            write(axes, 0.01, y, fitted(reason, 9.5, inches=width - 1.8), 9.5, WRONG)
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
    return f"pooled accuracy {pooled['accuracy']:.3f}, majority baseline {pooled[MAJORITY_ACCURACY]:.3f}"
