"""Variants of a model against each other on the same rows: which differences are real.

Every variant is trained with several seeds; its figures are means over them. Intervals are percentile bootstrap
intervals over rows, and a difference is paired: both sides are resampled together (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapters 8 and 13).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.errors import DataError
from entailment.statistics.metrics import CLASSES, confusion_counts, interval, scores
from entailment.statistics.paired_bootstrap import resampled_macro_f1
from entailment.task import LABELS

if TYPE_CHECKING:
    import pandas as pd

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
        resampled_macro_f1(labels, np.concatenate(list(answers.values())), samples, seed),
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


def _mean_over_seeds(drawn: NDArray[np.float64], seeds: Mapping[str, int]) -> dict[str, NDArray[np.float64]]:
    """For each variant the mean of its columns: it has as many as seeds, in the order of `seeds`."""
    ends = np.cumsum(list(seeds.values()))[:-1]
    return {name: part.mean(axis=1) for name, part in zip(seeds, np.split(drawn, ends, axis=1), strict=True)}
