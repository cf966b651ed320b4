"""Figures of a run. They are drawn through matplotlib's object interface, never by pyplot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from entailment import metric_names
from entailment.evaluation.samples import Sample
from entailment.files import written_aside
from entailment.reporting.fonts import (
    DOTS_PER_INCH,
    FONT,
    drawable,
    families_of,
    fitted,
    from_the_right,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, PANEL = "#1f2933", "#7b8794", "#e4e7eb"
RIGHT, WRONG = "#1b7f4d", "#c0392b"
TRAINING, VALIDATION = "#2b6cb0", "#dd6b20"
MEASURES = {"macro_f1": "macro-F1", "nll": "negative log-likelihood"}


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes `figure` as a PNG file, whole or not at all; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with written_aside(path) as aside:
        canvas: Any = FigureCanvasAgg(figure)
        # By itself matplotlib would write its version number into the file.
        canvas.print_png(aside, metadata={"Software": None})


def confusion_matrix_figure(counts: NDArray[Any], labels: Sequence[str], title: str) -> "Figure":
    """Counts and shares of the true class (rows) by answer (columns), for counts int [classes, classes].

    Raises ValueError on another shape.
    """
    counts = np.asarray(counts)
    if counts.shape != (len(labels), len(labels)):
        raise ValueError(f"counts must be of shape {(len(labels), len(labels))}. Received: {counts.shape}")
    # The names of three short classes fit into 1.05 inches; longer ones are cut at 2.2.
    side = min(2.2, max(1.05, *(text_width(drawable(label), 10) for label in labels)))
    width, height = max(5.55, 0.62 * len(labels) + 1.95) + side, max(5.6, 0.55 * len(labels) + 2.5)
    figure, size = new_figure(width, height), min(1.0, 4 / len(labels))
    axes = figure.add_axes(
        ((side + 0.4) / width, 0.73 / height, 1 - (side + 0.66) / width, 1 - 1.46 / height)
    )
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.65 else INK
        percent = f"{share:.1%}" if support[row] else "no rows"
        write(
            axes,
            column,
            row - 0.09,
            f"{counts[row, column]:,}",
            max(7.5, 15 * size),
            color,
            ha="center",
            weight="bold",
        )
        write(axes, column, row + 0.16, percent, max(6, 10 * size), color, ha="center")
    room = (width - side - 0.66) / len(labels) - 0.05
    names = ["\n".join(wrapped(label, 10, inches=room, lines=2)) for label in labels]
    name_places(axes.set_xticks, names, 10, INK)
    names = [fitted(label, 10, inches=side) for label in labels]
    rows = [f"{name}\n{total:,} rows" for name, total in zip(names, support, strict=True)]
    name_places(axes.set_yticks, rows, 10, INK)
    axes.set_xticks(np.arange(0.5, len(labels) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(labels) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=3)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answer", fontsize=11, color=FAINT, family=FONT)
    axes.set_ylabel("true class", fontsize=11, color=FAINT, family=FONT)
    heading(figure, title, "counts, and their share of the row")
    return figure


def samples_figure(rows: Sequence[Sample], title: str, below: str) -> "Figure":
    """Each pair on a line: label and answer, and of both posts the id, the image and the text.

    Texts are wrapped, and shortened where they do not fit; where no pair has an image, there are texts alone.
    Raises ValueError if there are no rows, or on an image that is not uint8 [height, width, 3].
    """
    if not rows:
        raise ValueError("rows must hold at least one sample. Received: none")
    width, top = 13.0, 0.85
    panel, line = (1.9, 2.55) if any(_images(row) for row in rows) else (0.0, 1.4)
    height = line * len(rows) + top + 0.15
    figure = new_figure(width, height)
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, width), ylim=(height, 0))
    page.axis("off")
    heading(figure, title, below)
    for index, row in enumerate(rows):
        upper = top + index * line
        page.plot([0.25, width - 0.25], [upper, upper], color=PANEL, linewidth=1)
        _verdict(page, row, upper + 0.27)
        posts = ((row.ids[0], row.image_1, row.text_1), (row.ids[1], row.image_2, row.text_2))
        for left, (identity, image, text) in zip((0.25, 6.7), posts, strict=True):
            write(page, left + 6, upper + 0.27, fitted(identity, 9, inches=2.5), 9, FAINT, ha="right")
            if panel:
                box = (left / width, 1 - (upper + 0.5 + panel) / height, panel / width, panel / height)
                _image_panel(figure.add_axes(box), image)
            beside = panel and panel + 0.15
            _post(page, left + beside, upper + 0.5, 6 - beside, text, lines=9 if panel else 4)
    return figure


def training_curves_figure(
    history: Mapping[str, Sequence[float]], kept: int | None = None, title: str = "Training"
) -> "Figure":
    """One panel for each measure, over the epochs from 1: training, and validation.

    `history`: a value for each epoch under each name, such as `train/loss`, `val/loss`, `val/macro_f1`
    (`val/` for validation); what is not finite is left out. `kept`: the epoch, from 1, whose weights were kept,
    marked in every panel. Raises ValueError if there is nothing to draw.
    """
    panels: dict[str, list[str]] = {}
    for name, values in history.items():
        if len(values):
            panels.setdefault(name.partition("/")[2], []).append(name)
    if not panels:
        raise ValueError("history must hold at least one epoch of one measure. Received: none")
    columns = min(2, len(panels))
    width, height = 4.6 * columns, 0.85 + 3.55 * -(-len(panels) // columns)
    figure = new_figure(width, height)
    epochs = max(len(history[name]) for names in panels.values() for name in names)
    for index, (measure, names) in enumerate(panels.items()):
        row, column = divmod(index, columns)
        box = (4.6 * column + 0.65, height - 0.85 - 3.55 * row - 3.0, 3.7, 2.45)
        axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
        for name in names:
            _curve(axes, history[name], kept, validation=name.startswith(metric_names.VALIDATION))
        _curve_frame(axes, measure, epochs)
    below = "" if kept is None else f"the weights of epoch {kept} were kept (dotted line)"
    heading(figure, f"{title}: {epochs} epoch{'s' * (epochs != 1)}", below)
    return figure


def reliability_figure(calibration: Mapping[str, Any], title: str) -> "Figure":
    """Accuracy with its interval against confidence, and how many rows there are, without and with the temperature.

    `calibration`: what `entailment.statistics.calibration.calibration_report` gives.
    """
    figure = new_figure(10.6, 5.6)
    for number, side in enumerate(("before", "after")):
        bins = [entry for entry in calibration[side]["bins"] if entry["rows"]]
        left = 0.075 + 0.49 * number
        upper, lower = figure.add_axes((left, 0.31, 0.41, 0.51)), figure.add_axes((left, 0.1, 0.41, 0.16))
        temperature = calibration["temperature"] if side == "after" else 1
        name = f"{side}: temperature {temperature:.2f}, expected calibration error {calibration[side]['ece']:.3f}"
        upper.set_title(name, fontsize=10.5, color=INK, family=FONT, loc="left")
        upper.plot([0, 1], [0, 1], "--", color=FAINT, linewidth=1)
        middles = [(entry["above"] + entry["up_to"]) / 2 for entry in bins]
        widths = [0.92 * (entry["up_to"] - entry["above"]) for entry in bins]
        accuracy, low, high = (
            np.array([entry[name] for entry in bins])
            for name in ("accuracy", "accuracy_low", "accuracy_high")
        )
        upper.bar(middles, accuracy, widths, color=TRAINING)
        upper.errorbar(
            middles, accuracy, (accuracy - low, high - accuracy), fmt="none", ecolor=INK, elinewidth=1
        )
        confidence = [entry["confidence"] for entry in bins]
        upper.plot(confidence, confidence, "o", color=VALIDATION, markersize=5, clip_on=False)
        rows = [entry["rows"] for entry in bins]
        lower.bar(middles, rows, widths, color=FAINT)
        lower.set_ylim(0, 1.35 * max(rows))
        for middle, count in zip(middles, rows, strict=True):
            write(lower, middle, count, f"{count:,}", 8, INK, ha="center", va="bottom")
        _reliability_frame(upper, lower, first=number == 0)
    heading(
        figure,
        title,
        "bars: accuracy, with its interval; dots: mean confidence; an interval below its dot: surer there than right",
    )
    return figure


def sentence_figure(sentence: str) -> "Figure":
    """A sentence in place of a picture that has nothing to show."""
    figure = new_figure(9.0, 0.9)
    page = figure.add_axes((0, 0, 1, 1))
    page.axis("off")
    write(page, 0.5, 0.4, fitted(sentence, 12, inches=8.5), 12, INK, ha="center")
    return figure


def new_figure(width: float, height: float) -> "Figure":
    """An empty white figure, sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")


def heading(figure: "Figure", title: str, below: str) -> None:
    """Writes a title and a line below it at the top left of a figure, each shortened to its width.

    Above them is room for what `name_data` writes.
    """
    _line(figure, 0.29, title, 13, INK, weight="bold")
    _line(figure, 0.55, below, 10, FAINT)


def name_data(figure: "Figure", name: str, *, generated: bool) -> None:
    """Writes on top of a figure which data it shows, and that they are generated if they are."""
    if generated:
        _line(figure, 0.1, f"{name}: GENERATED DATA", 8.5, WRONG, weight="bold")
    else:
        _line(figure, 0.1, name, 8.5, FAINT, weight="bold")


def _line(figure: "Figure", top: float, text: str, size: float, color: str, weight: str = "normal") -> None:
    """A line of text at the left, `top` inches below the upper end of the figure."""
    width, height = figure.get_size_inches()
    line = fitted(text, size, inches=width - 0.5, weight=weight)
    options: dict[str, Any] = {
        "va": "top",
        "parse_math": False,
        "family": families_of(line, weight),
        "weight": weight,
    }
    figure.text(0.25 / width, 1 - top / height, line, fontsize=size, color=color, **options)


def write(axes: "Axes", x: float, y: float, text: str, size: float, color: str, **options: Any) -> None:
    """Writes `text` as it stands (a `$` starts no formula) at data coordinates, size in points."""
    family = families_of(text, options.get("weight", "normal"))
    options = {"ha": "left", "va": "center", "family": family} | options
    axes.text(x, y, text, fontsize=size, color=color, parse_math=False, **options)


def name_places(set_ticks: Callable[..., Any], names: Sequence[str], size: float, color: str) -> None:
    """Names the places 0, 1, 2 ... of an axis by `axes.set_xticks` or `axes.set_yticks`, size in points."""
    family = families_of("".join(names))
    set_ticks(range(len(names)), names, fontsize=size, color=color, family=family, parse_math=False)


def _verdict(page: "Axes", row: Sample, y: float) -> None:
    """The line above a pair: its label, and what a model answered."""
    label = fitted(f"label: {row.label}", 11, inches=3.4, weight="bold")
    write(page, 0.25, y, label, 11, INK, weight="bold")
    if row.predicted is None:
        return
    right = row.predicted == row.label
    # Before the name, which may be cut off or be written from the right.
    sure = "" if row.probability is None else f" ({row.probability:.1%})"
    answer = fitted(f"{'✓' if right else '✗'} answer{sure}: {row.predicted}", 11, inches=3.4, weight="bold")
    write(page, 6.7, y, answer, 11, RIGHT if right else WRONG, weight="bold")


def _images(row: Sample) -> list[NDArray[np.uint8]]:
    return [image for image in (row.image_1, row.image_2) if image is not None]


def _post(page: "Axes", left: float, top: float, wide: float, text: str, lines: int) -> None:
    """A post's text, at the side that it is read from."""
    shown = wrapped(text, 11, inches=wide, lines=lines) or ["(no text)"]
    color = INK if text.strip() else FAINT
    side, x = ("right", left + wide) if from_the_right(text) else ("left", left)
    write(page, x, top, "\n".join(shown), 11, color, ha=side, va="top", linespacing=1.3)


def _image_panel(axes: "Axes", image: NDArray[np.uint8] | None) -> None:
    """An image with its own proportions inside a square, or a grey square that says that there is none."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if image is None:
        axes.set(xlim=(0, 1), ylim=(0, 1), facecolor=PANEL)
        write(axes, 0.5, 0.5, "no image", 11, FAINT, ha="center")
        return
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"an image must be uint8 [height, width, 3]. Received: {image.dtype} {list(image.shape)}"
        )
    axes.imshow(image, interpolation="antialiased")
    axes.set_anchor("NW")


def _reliability_frame(upper: "Axes", lower: "Axes", *, first: bool) -> None:
    """Ticks, grid and names of the two panels of one side."""
    for axes, xlabel in ((upper, ""), (lower, "confidence (largest probability)")):
        axes.set_xlim(0, 1)
        framed(axes, xlabel)
    upper.set_ylim(0, 1)
    if first:
        upper.set_ylabel("accuracy", fontsize=10, color=FAINT, family=FONT)
        lower.set_ylabel("rows", fontsize=10, color=FAINT, family=FONT)


def _curve(axes: "Axes", values: Iterable[float], kept: int | None, *, validation: bool) -> None:
    """One line over the epochs 1, 2, ...; of validation also its value in the kept epoch, marked and named."""
    series = np.asarray(list(values), np.float64)
    epochs = np.arange(1, len(series) + 1)
    label, color, style = ("validation", VALIDATION, "-") if validation else ("training", TRAINING, "--")
    finite = np.isfinite(series)
    if validation and kept is not None:
        axes.axvline(kept, color=FAINT, linewidth=1.2, linestyle=":", zorder=0)
        if kept <= len(series) and finite[kept - 1]:
            label += f" (kept: {series[kept - 1]:.3f})"
            axes.plot(kept, series[kept - 1], "o", markersize=10, markerfacecolor="none", color=color)
    axes.plot(epochs, np.where(finite, series, np.nan), style, marker=".", color=color, label=label)


def _curve_frame(axes: "Axes", measure: str, epochs: int) -> None:
    """Title, ticks, grid and legend of one panel of curves."""
    from matplotlib.ticker import MaxNLocator

    title = fitted(MEASURES.get(measure, measure.replace("_", " ")), 12, inches=3.7, weight="bold")
    write(axes, 0, 1.14, title, 12, INK, weight="bold", va="baseline", transform=axes.transAxes)
    framed(axes, "epoch")
    axes.set_xlim(0.5, epochs + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    legend_above(axes)


def framed(axes: "Axes", xlabel: str = "", *, rows: bool = False) -> None:
    """Gives a panel our ticks, grid and lines. `rows`: only its x axis has numbers, names stand at the left."""
    axes.set_xlabel(xlabel, fontsize=10, color=FAINT, family=FONT)
    axes.tick_params(labelsize=9, labelfontfamily=FONT, colors=FAINT, labelcolor=INK)
    axes.grid(axis="x" if rows else "both", color=PANEL)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(FAINT)
    axes.spines["left"].set_visible(not rows)


def legend_above(axes: "Axes") -> None:
    """The legend in one line above a panel, so that it never lies on what is drawn."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=6,
        columnspacing=1.2,
        handlelength=1.6,
        frameon=False,
        labelcolor=INK,
        prop={"family": FONT, "size": 9},
    )
