"""A comparison of variants: the table in Markdown, and a figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from entailment.evaluation.words_baseline import WORDS_ALONE
from entailment.reporting.figures import (
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
from entailment.reporting.markdown import markdown_table
from entailment.trials.comparison import BEST, NO, YES, compared_figures

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def comparison_markdown(table: "pd.DataFrame", labels: Sequence[str], confidence: float) -> str:
    """The table in Markdown, and what it says and does not say; `confidence` is the level of its intervals."""
    figures = compared_figures(labels)
    header = ["variant", "seeds", "accuracy", "macro-F1", f"{confidence:.0%} interval", "balanced accuracy"]
    header += [f"F1 {label}" for label in labels] + ["difference from the best", "real?"]
    lines = []
    for row in table.to_dict("records"):
        if row["error"]:
            lines.append([row["variant"], *[""] * (len(header) - 2), f"failed: {row['error']}"])
            continue
        cells = {name: _mean_and_deviation(row[name], row[f"{name}_std"]) for name in figures}
        ends = f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}"
        lines.append(
            [
                *(row["variant"], str(row["seeds"]), cells["accuracy"], cells["macro_f1"]),
                f"{row['macro_f1_low']:.3f} to {row['macro_f1_high']:.3f}",
                *(cells[name] for name in figures[2:]),
                "" if row["differs"] == BEST else f"{row['difference']:+.3f} ({ends})",
                row["differs"],
            ]
        )
    return f"{markdown_table(header, lines)}\n{_notes(table, confidence)}"


def comparison_figure(table: "pd.DataFrame", confidence: float) -> "Figure":
    """Macro-F1 of each variant, ± its deviation over the seeds, with its interval; the best on top.

    `table`: what `comparison_table` gives; `confidence`: the level of its intervals. A dotted line stands at what
    each baseline gets; a variant that failed stands below the others with its reason.
    """
    *variants, majority = table.to_dict("records")
    baselines = [majority]
    if variants[-1]["variant"] == WORDS_ALONE:
        baselines.insert(0, variants.pop())
    done = sorted((row for row in variants if not row["error"]), key=lambda row: -row["macro_f1"])
    rows = done + [row for row in variants if row["error"]]
    figure = new_figure(9.6, 1.75 + 0.42 * len(rows))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((2.9 / width, 0.62 / height, (width - 3.3) / width, 1 - 1.55 / height))
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), yticks=[])
    for y, row in enumerate(rows):
        (name,) = wrapped(str(row["variant"]), 10.5, inches=2.6, lines=1) or [""]
        write(axes, -0.02, y, name, 10.5, INK, ha="right")
        if row["error"]:
            (reason,) = wrapped(f"failed: {row['error']}", 9.5, inches=width - 3.5, lines=1)
            write(axes, 0.01, y, reason, 9.5, WRONG)
            continue
        color = RIGHT if row["differs"] == BEST else FAINT if row["differs"] == YES else TRAINING
        low, high, mean = row["macro_f1_low"], row["macro_f1_high"], row["macro_f1"]
        axes.plot([low, high], [y, y], color=color, linewidth=2.4, solid_capstyle="round")
        axes.plot(mean, y, "o", color=color, markersize=8)
        write(axes, mean, y - 0.3, _mean_and_deviation(mean, row["macro_f1_std"]), 9, INK, ha="center")
    for row, color in zip(reversed(baselines), (WRONG, FAINT), strict=False):
        if not row["error"]:
            axes.plot(
                [row["macro_f1"]] * 2, [len(done) - 0.4, -0.6], ":", color=color, linewidth=1.4, zorder=0
            )
    axes.tick_params(labelsize=9, labelfontfamily=FONT, colors=FAINT, labelcolor=INK)
    dotted = "; ".join(
        row["variant"] if row["error"] else f"{row['variant']}, {row['macro_f1']:.3f}" for row in baselines
    )
    axes.set_xlabel(f"macro-F1 (dotted: {dotted})", fontsize=10, color=FAINT, family=FONT)
    axes.grid(axis="x", color=PANEL)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    title = f"Macro-F1 of {len(rows)} variants on the test split, {confidence:.0%} intervals"
    heading(figure, title, "green: the best; blue: not told apart from it; grey: really lower")
    return figure


def _notes(table: "pd.DataFrame", confidence: float) -> str:
    compared = int((table["differs"].isin([YES, NO])).sum())
    return (
        "Figures are of the test split: means over the seeds ± their standard deviation. A difference from the best"
        f" is called real when its {confidence:.0%} paired bootstrap interval over the test rows leaves 0 out."
        f" Each of the {compared} is judged by itself: where nothing differs, about {1 - confidence:.0%} of them look"
        " real by chance. The best was chosen on these same rows, which flatters it; a baseline is never"
        f" called the best. `{WORDS_ALONE}` is TF-IDF and logistic regression on both texts, learned from the same"
        " training rows.\n"
    )


def _mean_and_deviation(mean: float, deviation: float) -> str:
    return f"{mean:.3f}" if np.isnan(deviation) else f"{mean:.3f} ± {deviation:.3f}"
