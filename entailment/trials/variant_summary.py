"""One variant of a comparison in figures: means over its seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entailment.evaluation.words_baseline import words_figures
from entailment.metric_names import MACRO_F1, MAJORITY_DIFFERENCE, TEST, is_end
from entailment.statistics.confusion import confusion_counts
from entailment.statistics.intervals import macro_f1_interval, paired_differences
from entailment.statistics.metrics import evaluate


@dataclass(frozen=True)
class VariantSummary:
    """Figures, curves and the confusion matrix of a variant that was trained with one or more seeds."""

    metrics: dict[str, float]
    """As `Metrics.as_dict(TEST)`; with several seeds their means, and standard deviations under `_std`. The interval
    of macro-F1 is that of `comparison_table`. And what `words_figures` gives."""
    curves: dict[str, list[float]]
    """By name one value an epoch: the mean over the seeds that were still training."""
    ended: list[float]
    """When each of their epochs ended, in seconds since 1970: those of the seed that trained longest."""
    confusion: NDArray[np.int64]
    """Rows are the true class; summed over the seeds."""


def summarise_variant(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    histories: Sequence[Mapping[str, Sequence[float]]],
    ended: Sequence[Sequence[float]],
    names: Sequence[str],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
    words: NDArray[np.int64] | None = None,
) -> VariantSummary:
    """Summarises one variant.

    Args:
        labels: true classes of the test rows, int [n].
        probabilities: float [seeds, n, classes].
        histories: for each seed by name one value an epoch.
        ended: for each seed when each epoch ended, in seconds since 1970.
        names: the classes' names.
        majority: the most frequent class of the training rows.
        bootstrap_samples: resamples behind each interval.
        confidence: level of the intervals.
        seed: of the resamples.
        words: what words alone answer, int64 [n], if they can.
    """
    resampling: dict[str, Any] = {
        "bootstrap_samples": bootstrap_samples,
        "confidence": confidence,
        "seed": seed,
    }
    each = [
        evaluate(labels, answers, names, majority=majority, **resampling).as_dict(TEST)
        for answers in probabilities
    ]
    predicted = probabilities.argmax(axis=2)
    metrics = each[0] if len(each) == 1 else _means(labels, predicted, each, majority, len(names), resampling)
    metrics |= words_figures(labels, predicted, words, len(names), **resampling)
    counts = [confusion_counts(labels, answers, len(names)) for answers in predicted]
    times = max(map(list, ended), key=len)
    return VariantSummary(metrics, mean_curves(histories), times, np.sum(counts, axis=0))


def _means(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    each: Sequence[Mapping[str, float]],
    majority: int,
    classes: int,
    resampling: Mapping[str, Any],
) -> dict[str, float]:
    """Means and deviations over the seeds; intervals of the mean macro-F1 and of its lead over the majority."""
    values = {name: [figures[name] for figures in each] for name in each[0] if not is_end(name)}
    metrics = {name: float(np.mean(found)) for name, found in values.items()}
    metrics |= {f"{name}_std": float(np.std(found, ddof=1)) for name, found in values.items()}
    always = np.full_like(labels, majority)[None]
    low, high = macro_f1_interval(labels, predicted, classes, **resampling)
    _, behind, ahead = paired_differences(labels, predicted, always, classes, **resampling)["macro_f1"]
    metrics |= {f"{MACRO_F1}_low": low, f"{MACRO_F1}_high": high}
    return metrics | {
        f"{MAJORITY_DIFFERENCE}_low": float(behind),
        f"{MAJORITY_DIFFERENCE}_high": float(ahead),
    }


def mean_curves(histories: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """The mean over the histories, epoch by epoch; one that ended earlier no longer counts."""
    curves = {}
    for name in histories[0]:
        epochs = zip_longest(*(history[name] for history in histories))
        curves[name] = [float(np.mean([value for value in epoch if value is not None])) for epoch in epochs]
    return curves
