"""Drift: whether new rows are unlike those that the champion was trained on, measure by measure.

Small samples differ by chance alone, and distances are never negative: each is compared with what it comes to when
old and new rows are shuffled (a permutation test; Good, Permutation Tests, 2000). A measure has drifted when it is
above its threshold beyond chance, and above what chance gives at the configured confidence. Features are judged by a
classifier that tells old from new (Lopez-Paz and Oquab, Revisiting classifier two-sample tests, 2017), its area under
the ROC curve with the interval of DeLong, DeLong and Clarke-Pearson, 1988.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.configuration.drift import Drift

COLUMNS: Final = (
    *("measure", "reference", "new", "value", "chance", "low", "high"),
    *("threshold", "drifted", "what"),
)
_FOLDS: Final = 5
_COMPONENTS: Final = 32
"""Principal components that the classifier sees: more than rows would let it learn them by heart."""
_WORD: Final = re.compile(r"\w+")
_LINK: Final = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_WHAT: Final = {
    "text_length": "characters of a text (median); largest distance of the two distributions",
    "unseen_words": "share of words that the training rows lack",
    "vocabulary": "distinct words; Jensen-Shannon distance of how often each occurs",
    "image_size": "pixels of an image (median); largest distance of the two distributions",
    "missing_images": "share of images that cannot be used",
    "features": "area under the ROC curve of a classifier that tells new from old",
    "predicted_labels": "the champion's answers by class (before: to its held-out rows); half the summed differences",
}


@dataclass(frozen=True)
class PairRows:
    """What is compared of n pairs."""

    texts: Sequence[tuple[str, str]]
    pixels: NDArray[np.float64]
    """Width times height of both images as stored, [n, 2]; NaN where an image cannot be used."""
    features: NDArray[np.float32]
    """[n, width]: what the encoders make of the pair."""

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class DriftReport:
    """What was found."""

    reference_rows: int
    new_rows: int
    not_measured: str
    """Why nothing was measured, "" where it was."""
    measures: tuple[Mapping[str, Any], ...] = ()
    """Rows with COLUMNS."""

    @property
    def drifted(self) -> list[str]:
        """Names of the measures above their thresholds."""
        return [str(row["measure"]) for row in self.measures if row["drifted"]]

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.not_measured:
            return f"not measured: {self.not_measured}"
        rows = f"{self.new_rows} new rows against {self.reference_rows} that the champion was trained on"
        found = [
            f"{row['measure']} {row['value']:.3f} (threshold {row['threshold']}, chance {row['chance']:.3f})"
            for row in self.measures
            if row["drifted"]
        ]
        return f"{rows}: {'; '.join(found) or 'none'}"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**asdict(self), "drifted": self.drifted, "summary": self.summary}


def drift_report(
    reference: PairRows,
    new: PairRows,
    answers: tuple[NDArray[np.int64], NDArray[np.int64]],
    config: Drift,
    *,
    with_images: bool,
    classes: int,
    seed: int,
) -> DriftReport:
    """Compares new rows with the champion's training rows; the same rows and seed give the same report.

    `answers`: the champion's, class indices, to its own validation and test rows, and to the new ones; where either
    are too few they are not compared.
    """
    sizes = len(reference), len(new)
    if min(sizes) < config.min_rows:
        why = (
            f"{sizes[1]} new rows and {sizes[0]} training rows; at least {config.min_rows} of each are needed"
        )
        return DriftReport(*sizes, why)
    generator = np.random.default_rng(seed)
    is_new, shuffled = _membership(sizes, config, generator)
    rows = _text_measures([*reference.texts, *new.texts], is_new, shuffled, config)
    if with_images:
        rows += _image_measures(np.concatenate([reference.pixels, new.pixels]), is_new, shuffled, config)
    rows.append(_features(np.concatenate([reference.features, new.features]), is_new, config, seed))
    if min(map(len, answers)) >= config.min_rows:
        is_new, shuffled = _membership((len(answers[0]), len(answers[1])), config, generator)
        rows.append(_predicted(np.concatenate(answers), classes, is_new, shuffled, config))
    return DriftReport(*sizes, "", tuple(rows))


def _membership(
    sizes: tuple[int, int], config: Drift, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]]]:
    """Which rows are new, and the same shuffled."""
    is_new: NDArray[np.bool_] = np.repeat([False, True], sizes)
    return is_new, [generator.permutation(is_new) for _ in range(config.permutations)]


def auc_with_interval(
    scores: NDArray[Any], positive: NDArray[np.bool_], confidence: float
) -> tuple[float, float, float]:
    """Area under the ROC curve and the ends of its DeLong interval, clipped to [0, 1].

    `scores`: float [n]; `positive`: bool [n], at least two rows of each kind, else ValueError.
    """
    from scipy.stats import norm, rankdata

    own, other = scores[positive], scores[~positive]
    if min(len(own), len(other)) < 2:
        raise ValueError(f"there must be two rows of each kind. Received: {len(own)} and {len(other)}")
    ranks = rankdata(np.concatenate([own, other]))
    above = (ranks[: len(own)] - rankdata(own)) / len(other)
    below = 1 - (ranks[len(own) :] - rankdata(other)) / len(own)
    auc = float(above.mean())
    deviation = float(np.sqrt(above.var(ddof=1) / len(own) + below.var(ddof=1) / len(other)))
    reach = float(norm.ppf((1 + confidence) / 2)) * deviation
    return auc, max(0.0, auc - reach), min(1.0, auc + reach)


# ---- measures: each takes the rows of both sides together, and which of them are new

_Statistic = Callable[[NDArray[np.bool_]], float]


def _text_measures(
    texts: Sequence[tuple[str, str]],
    is_new: NDArray[np.bool_],
    shuffled: Sequence[NDArray[np.bool_]],
    config: Drift,
) -> list[dict[str, Any]]:
    lengths = np.array([[len(text) for text in pair] for pair in texts], np.float64)
    counts = _word_counts(texts)

    def of_words(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        new = counts.T @ mask.astype(np.float64)
        return counts.T @ (~mask).astype(np.float64), new

    def unseen(mask: NDArray[np.bool_]) -> float:
        old, new = of_words(mask)
        return float(new[old == 0].sum() / max(1.0, new.sum()))

    def distance(mask: NDArray[np.bool_]) -> float:
        return _jensen_shannon(*of_words(mask))

    old, new = of_words(is_new)
    return [
        _tested("text_length", _ks(lengths), is_new, shuffled, config, *_medians(lengths, is_new)),
        _tested("unseen_words", unseen, is_new, shuffled, config, None, unseen(is_new)),
        _tested("vocabulary", distance, is_new, shuffled, config, int((old > 0).sum()), int((new > 0).sum())),
    ]


def _image_measures(
    pixels: NDArray[np.float64],
    is_new: NDArray[np.bool_],
    shuffled: Sequence[NDArray[np.bool_]],
    config: Drift,
) -> list[dict[str, Any]]:
    missing = np.isnan(pixels).mean(axis=1)

    def difference(mask: NDArray[np.bool_]) -> float:
        return float(abs(missing[mask].mean() - missing[~mask].mean()))

    shares = float(missing[~is_new].mean()), float(missing[is_new].mean())
    rows = [_tested("missing_images", difference, is_new, shuffled, config, *shares)]
    usable = ~np.isnan(pixels)
    if usable[is_new].any() and usable[~is_new].any():
        medians = _medians(pixels, is_new)
        rows.insert(0, _tested("image_size", _ks(pixels), is_new, shuffled, config, *medians))
    return rows


def _features(
    features: NDArray[np.float32], is_new: NDArray[np.bool_], config: Drift, seed: int
) -> dict[str, Any]:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    components = min(_COMPONENTS, features.shape[1], len(features) // 2)
    classifier = make_pipeline(
        StandardScaler(),
        PCA(components, svd_solver="full" if features.shape[1] <= 64 else "randomized", random_state=seed),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    said = cross_val_predict(
        classifier, features.astype(np.float64), is_new, cv=folds, method="decision_function"
    )
    auc, low, high = auc_with_interval(said, is_new, config.confidence)
    drifted = auc > config.features and low > 0.5
    return _row("features", None, None, auc, 0.5, (low, high), config.features, drifted)


def _predicted(
    answers: NDArray[np.int64],
    classes: int,
    is_new: NDArray[np.bool_],
    shuffled: Sequence[NDArray[np.bool_]],
    config: Drift,
) -> dict[str, Any]:
    def shares(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        counts: NDArray[np.float64] = np.bincount(answers[mask], minlength=classes) / mask.sum()
        return counts

    def distance(mask: NDArray[np.bool_]) -> float:
        return float(np.abs(shares(mask) - shares(~mask)).sum() / 2)

    old, new = ("/".join(f"{share:.2f}" for share in shares(mask)) for mask in (~is_new, is_new))
    return _tested("predicted_labels", distance, is_new, shuffled, config, old, new)


# ---- statistics


def _tested(
    measure: str,
    statistic: _Statistic,
    is_new: NDArray[np.bool_],
    shuffled: Sequence[NDArray[np.bool_]],
    config: Drift,
    reference: Any,
    new: Any,
) -> dict[str, Any]:
    """A statistic beside what it comes to when old and new are shuffled."""
    value = statistic(is_new)
    by_chance = np.array([statistic(mask) for mask in shuffled])
    low, high = np.quantile(by_chance, [1 - config.confidence, config.confidence])
    threshold = getattr(config, measure)
    drifted = value - by_chance.mean() > threshold and value > high
    ends = float(low), float(high)
    return _row(measure, reference, new, value, float(by_chance.mean()), ends, threshold, bool(drifted))


def _row(
    measure: str,
    reference: Any,
    new: Any,
    value: float,
    chance: float,
    ends: tuple[float, float],
    threshold: float,
    drifted: bool,
) -> dict[str, Any]:
    values = (measure, reference, new, value, chance, *ends, threshold, drifted, _WHAT[measure])
    return dict(zip(COLUMNS, values, strict=True))


def _ks(values: NDArray[np.float64]) -> _Statistic:
    """Kolmogorov-Smirnov's distance of the values, [n, 2], of the rows that are new and of the others."""
    flat = values.ravel()
    rows = np.repeat(np.arange(len(values)), values.shape[1])
    rows, flat = rows[~np.isnan(flat)], flat[~np.isnan(flat)]
    order = np.argsort(flat, kind="stable")
    rows, flat = rows[order], flat[order]
    last_of_equals = np.append(flat[1:] != flat[:-1], True) if len(flat) else np.zeros(0, bool)

    def distance(mask: NDArray[np.bool_]) -> float:
        new = mask[rows]
        if not new.any() or new.all():
            return 0.0
        below = np.cumsum(new) / new.sum() - np.cumsum(~new) / (~new).sum()
        return float(np.abs(below[last_of_equals]).max())

    return distance


def _medians(values: NDArray[np.float64], is_new: NDArray[np.bool_]) -> tuple[float, float]:
    return float(np.nanmedian(values[~is_new])), float(np.nanmedian(values[is_new]))


def _word_counts(texts: Sequence[tuple[str, str]]) -> Any:
    """How often each pair holds each word, sparse [n, words]; links and capitals do not count."""
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    columns, ends = [], [0]
    for pair in texts:
        words = [word for text in pair for word in _WORD.findall(_LINK.sub(" ", text).lower())]
        columns += [numbers.setdefault(word, len(numbers)) for word in words]
        ends.append(len(columns))
    shape = len(texts), max(1, len(numbers))
    return csr_array(
        (np.ones(len(columns)), np.array(columns, np.int64), np.array(ends, np.int64)), shape=shape
    )


def _jensen_shannon(old: NDArray[np.float64], new: NDArray[np.float64]) -> float:
    """Square root of the divergence in bits, 0 to 1 (Endres and Schindelin, 2003)."""
    if not old.sum() or not new.sum():
        return 0.0
    p, q = old / old.sum(), new / new.sum()
    middle = (p + q) / 2
    divergence = (
        sum((part[part > 0] * np.log2(part[part > 0] / middle[part > 0])).sum() for part in (p, q)) / 2
    )
    return float(np.sqrt(max(0.0, divergence)))
