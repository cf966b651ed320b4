"""The difference between two sides' answers to the same rows, with its interval.

A difference is paired: both sides are resampled together (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, chapters 8 and 13).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.statistics.metrics import confusion_counts, f1_scores, interval, scores

_WEIGHTS_AT_ONCE: Final = 2**22
"""Row weights of resamples that are held together: 32 MiB."""


def paired_bootstrap(
    labels: NDArray[Any],
    predicted_a: NDArray[Any],
    predicted_b: NDArray[Any],
    classes: int,
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
    observed = np.array([scores(confusion_counts(labels, run, classes))["macro_f1"] for run in both])
    drawn = resampled_macro_f1(labels, both, classes, samples, seed)
    first = len(predicted_a)
    low, high = interval(drawn[:, :first].mean(axis=1) - drawn[:, first:].mean(axis=1), confidence)
    return float(observed[:first].mean() - observed[first:].mean()), float(low), float(high)


def resampled_macro_f1(
    labels: NDArray[Any], predicted: NDArray[Any], classes: int, samples: int, seed: int
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
    answered = np.stack([patterns[:, 1:] == label for label in range(classes)], axis=-1)
    own = patterns[:, :1] == np.arange(classes)
    hits = answered & own[:, None, :]
    generator = np.random.default_rng(seed)
    parts = []
    at_once = max(1, _WEIGHTS_AT_ONCE // len(counts))
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        weights = generator.multinomial(len(labels), counts / len(labels), size=size).astype(np.float64)
        # Sums of whole numbers: the same bits in whatever order they are added.
        totals = [weights @ part.reshape(len(counts), -1) for part in (hits, answered)]
        right, said = (total.reshape(size, -1, classes) for total in totals)
        parts.append(f1_scores(right, (weights @ own)[:, None, :], said).mean(axis=-1))
    return np.concatenate(parts)
