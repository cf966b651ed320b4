"""Pictures of several models side by side: their confusion matrices, and their curves."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from entailment.reporting.figures import FAINT, INK, framed, heading, name_places, new_figure, write
from entailment.reporting.fonts import FONT, fitted, text_width
from entailment.reporting.shown_model import CURVES, MODEL_COLORS, ShownModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_TOP = 0.8
"""Inches for the heading."""
_CLASSES_WITH_COUNTS: Final = 12
"""With more, the counts would be too small to read, and slow to draw."""


def grid_figures(models: Sequence[ShownModel], labels: Sequence[str]) -> "dict[str, Figure]":
    """The pictures by file name; none where there are no models. `labels` are the classes' names."""
    if not models:
        return {}
    trained = [model for model in models if model.curves]
    return {
        "confusion_matrices.png": confusion_matrices_figure(models, labels),
        "training_curves.png": curves_figure(trained),
    }


def confusion_matrices_figure(models: Sequence[ShownModel], labels: Sequence[str]) -> "Figure":
    """A confusion matrix for each model, three beside each other: counts, shaded by their share of the row.

    Of many classes there are only the shades.
    """
    columns, lines = min(_COLUMNS, len(models)), ceil(len(models) / _COLUMNS)
    side = max(2.8, 0.34 * len(labels))
    left, below = 1.15, 0.85
    wide, high = left + side + 0.2, side + below
    figure = new_figure(max(5.0, columns * wide + 0.2), _TOP + lines * high)
    width, height = figure.get_size_inches()
    size = min(8.0, max(6.0, 80 / len(labels)))
    under, beside = (
        [fitted(label, size, inches=room) for label in labels] for room in (side / len(labels), 1.0)
    )
    for number, model in enumerate(models):
        row, column = divmod(number, _COLUMNS)
        corner = column * wide + left, height - _TOP - row * high - side - 0.3
        axes = figure.add_axes((corner[0] / width, corner[1] / height, side / width, side / height))
        _matrix(axes, model, side)
        name_places(axes.set_xticks, under, size, FAINT)
        name_places(axes.set_yticks, beside, size, FAINT)
    heading(figure, "Confusion matrices", "rows: true class; columns: answer; shade: share of the row")
    return figure


def curves_figure(models: Sequence[ShownModel]) -> "Figure":
    """A panel for each of CURVES with a line for each model; a ring stands at each epoch that was kept."""
    from matplotlib.ticker import MaxNLocator

    legend = 0.24 * ceil(len(models) / _COLUMNS) + 0.2
    panels = {name: title for name, title in CURVES.items() if any(name in model.curves for model in models)}
    figure = new_figure(5.6 * max(1, len(panels)), 4.3 + legend)
    width, height = figure.get_size_inches()
    for number, (name, title) in enumerate(panels.items()):
        box = ((5.6 * number + 0.6) / width, (legend + 0.55) / height, 4.8 / width, 2.7 / height)
        axes = figure.add_axes(box)
        for index, model in enumerate(models):
            _line(axes, model, name, MODEL_COLORS[index % len(MODEL_COLORS)])
        axes.set_title(title, fontsize=11, color=INK, family=FONT, loc="left")
        framed(axes, "epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles: Any = figure.axes[0].get_legend_handles_labels() if figure.axes else ([], [])
    font = {"family": FONT, "size": 9}
    figure.legend(*handles, loc="lower center", ncols=_COLUMNS, frameon=False, labelcolor=INK, prop=font)
    heading(figure, "Training, epoch by epoch", "a ring: the epoch whose weights were kept")
    return figure


def _matrix(axes: "Axes", model: ShownModel, side: float) -> None:
    classes, support = len(model.confusion), model.confusion.sum(axis=1)
    shares = model.confusion / np.maximum(support, 1)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if classes <= _CLASSES_WITH_COUNTS:
        longest = text_width(f"{model.confusion.max():,}", 10) / 10
        size = min(11.0, 0.9 * side / classes / longest)
        for (row, column), share in np.ndenumerate(shares):
            count = f"{model.confusion[row, column]:,}"
            write(axes, column, row, count, size, "white" if share > 0.65 else INK, ha="center")
    name = fitted(model.name, 9.5, inches=side + 0.9)
    axes.set_title(name, fontsize=9.5, color=INK, family=FONT, loc="right", parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _line(axes: "Axes", model: ShownModel, name: str, color: str) -> None:
    values = np.asarray(model.curves.get(name, ()), np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    label = fitted(model.name, 9, inches=2.6)
    axes.plot(np.arange(1, len(values) + 1), values, color=color, linewidth=1.6, label=label)
    kept = np.array([epoch for epoch in model.kept if epoch <= len(values)], np.int64)
    axes.plot(kept, values[kept - 1], "o", color=color, markersize=8, markerfacecolor="none")
