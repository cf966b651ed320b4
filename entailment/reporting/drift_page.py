"""What is shown of a drift report: a page and a figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from entailment.promotion.drift import DriftReport
from entailment.reporting.figures import INK, RIGHT, WRONG, framed, heading, new_figure, write
from entailment.reporting.markdown import markdown_table, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drift_markdown(report: DriftReport) -> str:
    """The table in Markdown."""
    title = f"# Drift\n\n{plain(report.summary[0].upper() + report.summary[1:])}.\n"
    if not report.measures:
        return title
    rows = [
        [
            *(str(row["measure"]), str(row["what"]), _shown(row["reference"]), _shown(row["new"])),
            *(f"{row['value']:.3f}", f"{row['chance']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"),
            *(str(row["threshold"]), "**yes**" if row["drifted"] else "no"),
        ]
        for row in report.measures
    ]
    header = ["measure", "what", "training", "new", "value", "by chance", "interval", "threshold", "drifted"]
    notes = (
        "By chance: the mean over shuffles of old and new rows; the interval is that of the shuffles too, for"
        " `features` that of the value. The threshold is for the value less chance, for `features` for the value"
        " itself.\n"
    )
    return f"{title}\n{markdown_table(header, rows)}\n{notes}"


def drift_figure(report: DriftReport) -> "Figure":
    """How far each measure is on the way to its threshold, the line at 1."""
    rows = list(report.measures)
    figure = new_figure(9.0, 1.75 + 0.42 * max(1, len(rows)))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((2.2 / width, 0.62 / height, (width - 2.8) / width, 1 - 1.55 / height))
    shares = [_share_of_threshold(row) for row in rows]
    axes.set(
        xlim=(0, max(1.5, *shares) * 1.12 if shares else 1.5), ylim=(max(1, len(rows)) - 0.4, -0.6), yticks=[]
    )
    gap = 0.008 * axes.get_xlim()[1]
    for y, (row, share) in enumerate(zip(rows, shares, strict=True)):
        write(axes, -gap, y, str(row["measure"]), 10.5, INK, ha="right")
        axes.barh(y, share, 0.5, color=WRONG if row["drifted"] else RIGHT)
        write(axes, share + gap, y, f"{row['value']:.3f}", 9, INK)
    axes.axvline(1, color=INK, linewidth=1, linestyle=":")
    framed(axes, "distance beyond chance, as a share of the threshold", rows=True)
    title = f"Drift: {len(report.drifted)} of {len(rows)} measures above their thresholds"
    heading(figure, title, f"{report.new_rows} new rows against {report.reference_rows} training rows")
    return figure


def _share_of_threshold(row: Mapping[str, Any]) -> float:
    threshold = row["threshold"] - (0.5 if row["measure"] == "features" else 0.0)
    return float(max(0.0, row["value"] - row["chance"]) / max(threshold, 1e-9))


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
