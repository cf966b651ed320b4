"""Variants of a model against each other on the same rows: which differences are real.

Every variant is trained with several seeds; its figures are means over them. Intervals are percentile bootstrap
intervals over rows, and a difference is paired: both sides are resampled together (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapters 8 and 13).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.data.schema import LABELS
from entailment.errors import DataError
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
from entailment.evaluation.metrics import CLASSES, confusion_counts, f1_scores, interval, scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES: Final = (
    "accuracy",
    "macro_f1",
    "balanced_accuracy",
    "f1_contradictory",
    "f1_implies",
    "f1_no_entailment",
)
"""What has a mean and, under its name with `_std`, a standard deviation over the seeds."""
COLUMNS: Final = (
    "variant",
    "seeds",
    *(column for figure in FIGURES for column in (figure, f"{figure}_std")),
    "macro_f1_ci_low",
    "macro_f1_ci_high",
    "difference",
    "difference_ci_low",
    "difference_ci_high",
    "differs",
    "error",
)
BEST, YES, NO = "best", "yes", "no: interval holds 0"
_WEIGHTS_AT_ONCE: Final = 2**22
"""Row weights of resamples that are held together: 32 MiB."""
_ROUNDING: Final = 1e-9
"""Means of equal figures over different numbers of seeds differ by less than this."""


def comparison_table(
    labels: NDArray[Any],
    variants: Mapping[str, NDArray[Any] | str],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> "pd.DataFrame":
    """A row for each variant, in their order, and a last one for always answering the majority class.

    Args:
        labels: class indices of the rows, int [n]; not looked at where every variant failed.
        variants: by name the probabilities, float [seeds, n, 3], or a text: why the variant failed.
        majority: the most frequent class of the training rows.
        bootstrap_samples: resamples of the rows; the same ones for all variants.
        confidence: level of the intervals.
        seed: of the resamples.

    Returns:
        Columns COLUMNS. Means and standard deviations over the seeds (`_std`, with n - 1; NaN for a single seed); the
        interval of the mean macro-F1; `difference`: the mean macro-F1 less that of the best variant, with its
        interval; `differs`: "best", "yes" or "no: interval holds 0"; `error`: why there are no figures, else "".

    Raises:
        ValueError: wrong shapes or arguments.
        DataError: probabilities that are not finite numbers.
    """
    import pandas as pd

    labels = np.asarray(labels)
    answers = {
        name: _answers(name, labels, probabilities)
        for name, probabilities in variants.items()
        if not isinstance(probabilities, str)
    }
    failed = {name: reason for name, reason in variants.items() if isinstance(reason, str)}
    baseline = f"always {LABELS[majority]}"
    if answers:
        answers[baseline] = np.full((1, len(labels)), majority)
        rows = _compared(labels, answers, bootstrap_samples, confidence, seed)
    else:
        rows, failed = {}, failed | {baseline: "no variant gave answers to compare with"}
    rows |= {name: {"variant": name, "seeds": 0, "differs": "", "error": why} for name, why in failed.items()}
    return pd.DataFrame([rows[name] for name in (*variants, baseline)], columns=list(COLUMNS))


def paired_bootstrap(
    labels: NDArray[Any],
    predicted_a: NDArray[Any],
    predicted_b: NDArray[Any],
    samples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float, float]:
    """The macro-F1 of a less that of b, each the mean over its seeds, and the ends of its interval.

    `labels`: class indices, int [n]; `predicted_a`, `predicted_b`: int [seeds, n], not necessarily as many seeds.
    Every resample of the rows is common to both and to all seeds. The difference is real if the interval leaves 0
    out. It tells about other rows, not about other seeds: those are averaged over, not drawn. Raises ValueError on
    wrong shapes or arguments.
    """
    both = np.concatenate([predicted_a, predicted_b])
    observed = np.array([scores(confusion_counts(labels, run))["macro_f1"] for run in both])
    drawn = _resampled_macro_f1(labels, both, samples, seed)
    first = len(predicted_a)
    low, high = interval(drawn[:, :first].mean(axis=1) - drawn[:, first:].mean(axis=1), confidence)
    return float(observed[:first].mean() - observed[first:].mean()), float(low), float(high)


def comparison_markdown(table: "pd.DataFrame", confidence: float) -> str:
    """The table in Markdown, and what it says and does not say; `confidence` is the level of its intervals."""
    header = ["variant", "seeds", "accuracy", "macro-F1", f"{confidence:.0%} interval", "balanced accuracy"]
    header += [f"F1 {label}" for label in LABELS] + ["difference from the best", "real?"]
    lines = []
    for row in table.to_dict("records"):
        if row["error"]:
            lines.append([row["variant"], *[""] * (len(header) - 2), f"failed: {row['error']}"])
            continue
        cells = {name: _mean_and_deviation(row[name], row[f"{name}_std"]) for name in FIGURES}
        ends = f"{row['difference_ci_low']:+.3f} to {row['difference_ci_high']:+.3f}"
        lines.append(
            [
                *(row["variant"], str(row["seeds"]), cells["accuracy"], cells["macro_f1"]),
                f"{row['macro_f1_ci_low']:.3f} to {row['macro_f1_ci_high']:.3f}",
                *(cells[name] for name in FIGURES[2:]),
                "" if row["differs"] == BEST else f"{row['difference']:+.3f} ({ends})",
                row["differs"],
            ]
        )
    return f"{markdown_table(header, lines)}\n{_notes(table, confidence)}"


def comparison_figure(table: "pd.DataFrame", confidence: float) -> "Figure":
    """Macro-F1 of each variant, ± its deviation over the seeds, with its interval; the best on top.

    `table`: what `comparison_table` gives; `confidence`: the level of its intervals. A dotted line stands at what the
    majority class gets; a variant that failed stands below the others with its reason.
    """
    *variants, baseline = table.to_dict("records")
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
        low, high, mean = row["macro_f1_ci_low"], row["macro_f1_ci_high"], row["macro_f1"]
        axes.plot([low, high], [y, y], color=color, linewidth=2.4, solid_capstyle="round")
        axes.plot(mean, y, "o", color=color, markersize=8)
        write(axes, mean, y - 0.3, _mean_and_deviation(mean, row["macro_f1_std"]), 9, INK, ha="center")
    if not baseline["error"]:
        axes.plot(
            [baseline["macro_f1"]] * 2, [len(done) - 0.4, -0.6], ":", color=WRONG, linewidth=1.4, zorder=0
        )
    axes.tick_params(labelsize=9, labelfontfamily=FONT, colors=FAINT, labelcolor=INK)
    dotted = (
        baseline["variant"] if baseline["error"] else f"{baseline['variant']}, {baseline['macro_f1']:.3f}"
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
        " real by chance. The best was chosen on these same rows, which flatters it.\n"
    )


def _compared(
    labels: NDArray[Any],
    answers: Mapping[str, NDArray[np.int64]],
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """The rows of the table for variants that gave answers, int [seeds, n]; the last one is the baseline."""
    rows: dict[str, dict[str, Any]] = {
        name: {"variant": name, "seeds": len(runs)} | _moments(labels, runs) for name, runs in answers.items()
    }
    best = max(list(rows)[:-1], key=lambda name: rows[name]["macro_f1"])
    drawn = _mean_over_seeds(
        _resampled_macro_f1(labels, np.concatenate(list(answers.values())), samples, seed),
        {name: len(runs) for name, runs in answers.items()},
    )
    for name, row in rows.items():
        low, high = interval(drawn[name], confidence)
        row |= {"macro_f1_ci_low": float(low), "macro_f1_ci_high": float(high), "error": ""}
        row |= _difference(row, rows[best], interval(drawn[name] - drawn[best], confidence))
    rows[best]["differs"] = BEST
    return rows


def _answers(name: str, labels: NDArray[Any], probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """The classes answered, int64 [seeds, n]."""
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 3 or probabilities.shape[1:] != (len(labels), CLASSES) or not len(probabilities):
        raise ValueError(
            f"variant {name!r}: probabilities must be [seeds, {len(labels)}, {CLASSES}], at least one seed. "
            f"Received shape: {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        raise DataError(
            f"variant {name!r}: its probabilities are not all finite numbers. Its training has diverged: lower "
            "training.learning_rate, or give it as failed."
        )
    answers: NDArray[np.int64] = probabilities.argmax(axis=2)
    return answers


def _moments(labels: NDArray[Any], runs: NDArray[np.int64]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of every figure."""
    figures = scores(np.stack([confusion_counts(labels, run) for run in runs]))
    figures |= dict(zip(FIGURES[3:], figures["f1"].T, strict=True))
    moments: dict[str, Any] = {}
    for name in FIGURES:
        moments[name] = float(figures[name].mean())
        moments[f"{name}_std"] = float(figures[name].std(ddof=1)) if len(runs) > 1 else np.nan
    return moments


def _difference(row: dict[str, Any], best: dict[str, Any], ends: tuple[Any, Any]) -> dict[str, Any]:
    low, high = map(float, ends)
    return {
        "difference": row["macro_f1"] - best["macro_f1"],
        "difference_ci_low": low,
        "difference_ci_high": high,
        "differs": NO if low <= _ROUNDING and high >= -_ROUNDING else YES,
    }


def _resampled_macro_f1(
    labels: NDArray[Any], predicted: NDArray[Any], samples: int, seed: int
) -> NDArray[np.float64]:
    """Macro-F1 of each row of `predicted`, int [s, n], in common resamples of the n rows: float64 [samples, s].

    Rows with the same label and the same answers are drawn as one: how often each such pattern occurs in a resample
    is multinomial. Only some resamples' weights are held at once; how many does not change what is drawn.
    """
    if samples < 1 or not len(labels):
        raise ValueError(
            f"there must be at least one row and one resample. Received: {len(labels)} and {samples}"
        )
    patterns, counts = np.unique(
        np.column_stack([labels, predicted.T]).astype(np.int8), axis=0, return_counts=True
    )
    answered = np.stack([patterns[:, 1:] == label for label in range(CLASSES)], axis=-1)
    own = patterns[:, :1] == np.arange(CLASSES)
    hits = answered & own[:, None, :]
    generator = np.random.default_rng(seed)
    parts = []
    at_once = max(1, _WEIGHTS_AT_ONCE // len(counts))
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        weights = generator.multinomial(len(labels), counts / len(labels), size=size).astype(np.float64)
        # Sums of whole numbers: the same bits in whatever order they are added.
        totals = [weights @ part.reshape(len(counts), -1) for part in (hits, answered)]
        right, said = (total.reshape(size, -1, CLASSES) for total in totals)
        parts.append(f1_scores(right, (weights @ own)[:, None, :], said).mean(axis=-1))
    return np.concatenate(parts)


def _mean_over_seeds(drawn: NDArray[np.float64], seeds: Mapping[str, int]) -> dict[str, NDArray[np.float64]]:
    """For each variant the mean of its columns: it has as many as seeds, in the order of `seeds`."""
    ends = np.cumsum(list(seeds.values()))[:-1]
    return {name: part.mean(axis=1) for name, part in zip(seeds, np.split(drawn, ends, axis=1), strict=True)}


def _mean_and_deviation(mean: float, deviation: float) -> str:
    return f"{mean:.3f}" if np.isnan(deviation) else f"{mean:.3f} ± {deviation:.3f}"
