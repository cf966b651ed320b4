"""A comparison of variants: the table in Markdown, a figure, and what the interactive page shows."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from entailment.evaluation.words_baseline import HOW, WORDS_ALONE
from entailment.reporting.figures import (
    FAINT,
    INK,
    WRONG,
    framed,
    heading,
    legend_above,
    new_figure,
    write,
)
from entailment.reporting.fonts import fitted, text_width
from entailment.reporting.interactive_page import Cell, Page
from entailment.reporting.markdown import markdown_table
from entailment.reporting.shown_model import ShownModel
from entailment.reporting.verdict import compared_with
from entailment.trials.comparison import BEST, NO, YES, Lead, best_two, compared_figures
from entailment.trials.disagreements import Disagreements
from entailment.trials.variants import Variant

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLORS: Final = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#b83280", "#b7791f")
"""Of the kinds of inputs, in their order."""
_EXPLAINED: Final = {
    "macro-F1": "The mean of the F1 of the classes: a rare class counts as much as a frequent one. 1 is best.",
    "interval": "Where macro-F1 may lie on all rows of the same source, judged by the test rows.",
    "accuracy": "The share of right answers. Where one class is frequent, always answering it is rewarded.",
    "balanced accuracy": "The mean over the classes of the share of their rows that were answered right.",
    "F1 of a class": "The harmonic mean of precision and recall of the class.",
    WORDS_ALONE: f"A baseline: {HOW}.",
    "always ...": "A baseline: what the class that most training rows have would get as the only answer.",
}


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

    `table`: what `comparison_table` gives; `confidence`: the level of its intervals. Each kind of inputs has
    a colour. A dotted line stands at what each baseline gets; a variant that failed stands below the others with its
    reason.
    """
    *variants, majority = table.to_dict("records")
    baselines = [majority]
    if variants[-1]["variant"] == WORDS_ALONE:
        baselines.insert(0, variants.pop())
    done = sorted((row for row in variants if not row["error"]), key=lambda row: -row["macro_f1"])
    rows = done + [row for row in variants if row["error"]]
    names = [fitted(str(row["variant"]), 10.5, inches=4, weight="bold") for row in rows]
    side = max(text_width(name, 10.5, "bold") for name in names) + 0.4
    figure = new_figure(side + 6.9, 2.54 + 0.42 * len(rows))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((side / width, 0.62 / height, 6.5 / width, 1 - 1.75 / height))
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.65 - 0.45 * len(baselines)), yticks=[])
    inputs = dict.fromkeys(str(row["variant"]).partition("_")[0] for row in variants)
    colors = dict(zip(inputs, cycle(COLORS), strict=False))
    for y, (name, row) in enumerate(zip(names, rows, strict=True)):
        weight = "bold" if row["differs"] == BEST else "normal"
        write(axes, -0.02, y, name, 10.5, INK, ha="right", weight=weight)
        if row["error"]:
            write(axes, 0.01, y, fitted(f"failed: {row['error']}", 9.5, inches=6.4), 9.5, WRONG)
            continue
        color = colors[str(row["variant"]).partition("_")[0]]
        low, high, mean = row["macro_f1_low"], row["macro_f1_high"], row["macro_f1"]
        axes.plot([low, high], [y, y], color=color, linewidth=2.4, solid_capstyle="round")
        inside = "white" if row["differs"] == YES else color
        axes.plot(mean, y, "o", color=color, markerfacecolor=inside, markersize=8, markeredgewidth=1.8)
        write(axes, mean, y - 0.3, _mean_and_deviation(mean, row["macro_f1_std"]), 9, INK, ha="center")
    for top, row in zip((-0.85, -1.3), baselines, strict=False):
        if not row["error"]:
            at = row["macro_f1"]
            axes.plot([at, at], [len(done) - 0.4, top - 0.25], ":", color=FAINT, linewidth=1.6, zorder=0)
            beside, ha = (at + 0.012, "left") if at < 0.5 else (at - 0.012, "right")
            write(axes, beside, top, f"{row['variant']}: {at:.3f}", 9, FAINT, ha=ha)
    for name, color in colors.items():
        axes.plot([], [], "o-", color=color, linewidth=2.4, markersize=8, label=name)
    legend_above(axes)
    framed(axes, "macro-F1", rows=True)
    title = f"Macro-F1 of {len(rows)} variants on the test split, {confidence:.0%} intervals"
    heading(figure, title, "bold: the best; filled: not told apart from it; hollow: really lower")
    return figure


def comparison_verdict(
    table: "pd.DataFrame", variants: Sequence[str], confidence: float, within: Mapping[str, Sequence[Lead]]
) -> list[str]:
    """Which variant is best, and whether it is really better than the next and than each baseline, in sentences.

    `table`: what `comparison_table` gives; its rows that are none of `variants` are baselines. `within`: what
    `leads_within` gives, by kind of inputs.
    """
    rows = {str(row["variant"]): row for row in table.to_dict("records")}
    chosen = best_two(table, variants)
    if not chosen:
        return ["Every variant failed: there is nothing to compare."]
    best, (low, high) = rows[chosen[0]], _interval(rows[chosen[0]], "macro_f1")
    said = [
        f"{chosen[0]} is best: macro-F1 {best['macro_f1']:.3f} ({confidence:.0%} interval {low:.3f} to {high:.3f})."
    ]
    said += [f"It is {_against(f'the next, {name}', rows[name])}." for name in chosen[1:]]
    alike = [name for name in variants if rows[name]["differs"] == NO and name not in chosen]
    if alike:
        said.append(f"Not told apart from it either: {', '.join(alike)}.")
    said += [f"It is {_against(name, row)}." for name, row in rows.items() if name not in variants]
    said += [_best_within(inputs, leads) for inputs, leads in within.items() if leads[0].best != chosen[0]]
    return [*said, _caution(len(variants), int(table["seeds"].max()))]


def _against(name: str, other: Mapping[Any, Any]) -> str:
    """What the best is worth against another row of the table."""
    low, high = _interval(other, "difference")
    return compared_with(f"{name} ({other['macro_f1']:.3f})", -other["difference"], -high, -low)


def _best_within(inputs: str, leads: Sequence[Lead]) -> str:
    found = [
        compared_with(f"{lead.other} ({lead.macro_f1[1]:.3f})", lead.difference, lead.low, lead.high)
        for lead in leads
    ]
    return f"With inputs {inputs}, {leads[0].best} is best ({leads[0].macro_f1[0]:.3f}): {'; '.join(found)}."


def _caution(variants: int, seeds: int) -> str:
    """What no interval here tells."""
    chosen = "The best is chosen by the rows that it is judged by, which flatters its figure. " * (
        variants > 1
    )
    if seeds == 1:
        return f"{chosen}Each variant was trained once: what another seed would give is not in the intervals."
    return f"{chosen}The intervals are about other rows, not about other seeds than these {seeds}."


def comparison_page(
    table: "pd.DataFrame",
    variants: Sequence[Variant],
    labels: Sequence[str],
    confidence: float,
    *,
    generated: bool,
    facts: Mapping[str, str],
    models: Sequence[ShownModel],
    test_rows: int,
    disagreements: Disagreements,
    within: Mapping[str, Sequence[Lead]],
) -> Page:
    """What the interactive page shows of a comparison.

    Args:
        table: what `comparison_table` gives.
        variants: those that were compared.
        labels: the classes' names.
        confidence: the level of the intervals.
        generated: whether the data are.
        facts: what else is said of the run, by name.
        models: the variants that gave answers.
        test_rows: how many there are.
        disagreements: what the variants answer differently.
        within: what `leads_within` gives, by kind of inputs.
    """
    by_name = {variant.name: variant for variant in variants}
    seeds = int(table["seeds"].max())
    columns = [
        "variant",
        "inputs",
        "loss",
        "macro-F1",
        f"{confidence:.0%} interval",
        "difference from the best",
    ]
    columns += ["differs from the best", "accuracy", "balanced accuracy"]
    columns += [f"F1 {label}" for label in labels]
    return Page(
        title=f"Comparison of {len(variants)} variants",
        generated=generated,
        verdict=comparison_verdict(table, list(by_name), confidence, within),
        facts=facts,
        labels=labels,
        columns=columns,
        table=[_cells(row, by_name.get(row["variant"]), labels) for row in table.to_dict("records")],
        explained=_EXPLAINED | {"differs from the best": _notes(table, confidence)},
        models=models,
        sorted_by="macro-F1",
        summed=f"Sums over {seeds} seeds." if seeds > 1 else "",
        best_two=best_two(table, list(by_name)),
        test_rows=test_rows,
        disagreements=disagreements,
    )


def _cells(row: Mapping[Any, Any], variant: Variant | None, labels: Sequence[str]) -> list[Cell]:
    name = Cell(row["variant"], row["variant"])
    if row["error"]:
        return [name, Cell(f"failed: {row['error']}")]
    figures = {
        name: Cell(_mean_and_deviation(row[name], row[f"{name}_std"]), row[name])
        for name in compared_figures(labels)
    }
    low, high = _interval(row, "macro_f1")
    ends = "{:+.3f} to {:+.3f}".format(*_interval(row, "difference"))
    best = row["differs"] == BEST
    return [
        name,
        *(Cell(shown, shown) for shown in ((variant.inputs, variant.loss) if variant else ("baseline", ""))),
        figures.pop("macro_f1"),
        Cell(f"{low:.3f} to {high:.3f}", low, (low, high)),
        Cell("", 0.0) if best else Cell(f"{row['difference']:+.3f}", row["difference"], below=ends),
        Cell(row["differs"], row["differs"]),
        *figures.values(),
    ]


def _interval(row: Mapping[Any, Any], name: str) -> tuple[float, float]:
    return row[f"{name}_low"], row[f"{name}_high"]


def _notes(table: "pd.DataFrame", confidence: float) -> str:
    several = int(table["seeds"].max()) > 1
    return (
        "Figures are of the test split" + ": means over the seeds ± their standard deviation" * several + "."
        " A difference from the best is called real when its interval leaves 0 out. Since the best is chosen by the"
        " same rows, these intervals are wider than that of a single difference: what is as good as the best is"
        f" called worse in at most {1 - confidence:.0%} of comparisons. A baseline is never called the best."
        f" {WORDS_ALONE.capitalize()} is {HOW}.\n"
    )


def _mean_and_deviation(mean: float, deviation: float) -> str:
    return f"{mean:.3f}" if np.isnan(deviation) else f"{mean:.3f} ± {deviation:.3f}"
