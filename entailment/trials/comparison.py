"""Variants of a model against each other on the same rows: which differences are real.

Every variant is trained with several seeds; its figures are means over them. Intervals are over rows, and a
difference is paired (`entailment.statistics.intervals`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.errors import DataError
from entailment.evaluation.words_baseline import WORDS_ALONE
from entailment.metric_names import BASELINE, BEST_VARIANT, VARIANTS
from entailment.statistics.confusion import confusion_counts, macro_f1, scores
from entailment.statistics.intervals import macro_f1_interval, paired_differences
from entailment.task import in_snake_case

if TYPE_CHECKING:
    import pandas as pd

BEST, YES, NO = "best", "yes", "no: interval holds 0"
_ALWAYS: Final = "always "
"""How the name of the majority baseline begins."""
_OF_BEST: Final = ("accuracy", "macro_f1", "macro_f1_low", "macro_f1_high")


def compared_figures(labels: Sequence[str]) -> list[str]:
    """What has a mean and, under its name with `_std`, a deviation over the seeds: figures that `scores` gives.

    `summaries/results.py` prints them by their place here, so does `reporting/comparison_page.py`.
    """
    return ["accuracy", "macro_f1", "balanced_accuracy", *(f"f1_{in_snake_case(label)}" for label in labels)]


def comparison_columns(labels: Sequence[str]) -> list[str]:
    """The columns of a comparison's table."""
    moments = [column for figure in compared_figures(labels) for column in (figure, f"{figure}_std")]
    ends = [f"{figure}_{end}" for figure in ("macro_f1", "difference") for end in ("low", "high")]
    return ["variant", "seeds", *moments, *ends[:2], "difference", *ends[2:], "differs", "error"]


def comparison_table(
    true: NDArray[Any],
    variants: Mapping[str, NDArray[Any] | str],
    labels: Sequence[str],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
    words: NDArray[np.int64] | None = None,
) -> "pd.DataFrame":
    """A row for each variant, in their order, one for words alone, and a last one for always answering the majority.

    Args:
        true: class indices of the rows, int [n]; not looked at where every variant failed.
        variants: by name the probabilities, float [seeds, n, classes], or a text: why the variant failed.
        labels: the classes' names.
        majority: the most frequent class of the training rows.
        bootstrap_samples: resamples of the rows.
        confidence: level of the intervals.
        seed: of the resamples.
        words: what words alone answer, int64 [n]; their row is left out without it.

    Returns:
        Columns `comparison_columns`. Means and standard deviations over the seeds (`_std`, with n - 1; NaN for a
        single seed); the interval of the mean macro-F1; `difference`: the mean macro-F1 less that of the best
        variant, with its interval; `differs`: "best", "yes" or "no: interval holds 0"; `error`: why there are no
        figures, else "". The best is chosen by the same rows: of many equal variants one looks good by chance. So the
        intervals of the differences are wider (Bonferroni's correction for the number of variants): what is as good
        as the best is called worse as seldom as the level says, which is what Hsu's comparisons with the best
        promise (Simultaneous confidence intervals for all distances from the "best", 1981).

    Raises:
        ValueError: wrong shapes or arguments.
        DataError: probabilities that are not finite numbers.
    """
    import pandas as pd

    true = np.asarray(true)
    resampling = {"bootstrap_samples": bootstrap_samples, "confidence": confidence, "seed": seed}
    answers = {
        name: _answers(name, true, probabilities, len(labels))
        for name, probabilities in variants.items()
        if not isinstance(probabilities, str)
    }
    failed = {name: reason for name, reason in variants.items() if isinstance(reason, str)}
    always = f"{_ALWAYS}{labels[majority]}"
    baselines = {always: np.full((1, len(true)), majority)}
    if words is not None:
        baselines = {WORDS_ALONE: words[None]} | baselines
    if answers:
        rows = _compared(true, answers, baselines, labels, resampling)
    else:
        nothing = "no variant gave answers to compare with"
        rows, failed = {}, failed | dict.fromkeys(baselines, nothing)
    rows |= {name: {"variant": name, "seeds": 0, "differs": "", "error": why} for name, why in failed.items()}
    return pd.DataFrame([rows[name] for name in (*variants, *baselines)], columns=comparison_columns(labels))


def best_two(table: "pd.DataFrame", variants: Sequence[str]) -> list[str]:
    """Names of the two of `variants` with the largest macro-F1, the best first; fewer where fewer gave answers."""
    given = table[table["variant"].isin(variants) & (table["error"] == "")]
    # In the order of the table where they are equal, so that the first is the one that is called the best.
    names: list[str] = given.sort_values("macro_f1", ascending=False, kind="stable")["variant"].tolist()
    return names[:2]


def comparison_metrics(table: "pd.DataFrame", variants: Sequence[str]) -> dict[str, float]:
    """What a comparison comes to, as metrics: the best variant, the baselines, and how many variants there are.

    `table`: what `comparison_table` gives; its rows that are none of `variants` are baselines.
    """
    of_variants = table["variant"].isin(variants)
    figures: dict[str, float] = {
        f"{VARIANTS}compared": int(of_variants.sum()),
        f"{VARIANTS}failed": int((of_variants & (table["error"] != "")).sum()),
        f"{VARIANTS}not_told_apart": int((of_variants & (table["differs"] == NO)).sum()),
    }
    rows = {str(row["variant"]): row for row in table.to_dict("records") if not row["error"]}
    for name in best_two(table, variants)[:1]:
        figures |= {f"{BEST_VARIANT}{figure}": rows[name][figure] for figure in _OF_BEST}
    for name, row in rows.items():
        if name not in variants:
            of = "words" if name == WORDS_ALONE else "majority"
            figures |= {f"{BASELINE}{of}_{figure}": row[figure] for figure in ("accuracy", "macro_f1")}
    return figures


@dataclass(frozen=True)
class Lead:
    """What the best of some variants is worth against another one, or against words alone."""

    best: str
    other: str
    macro_f1: tuple[float, float]
    """Of both."""
    difference: float
    low: float
    high: float


def leads_within(
    true: NDArray[Any],
    variants: Mapping[str, NDArray[Any] | str],
    groups: Mapping[str, Sequence[str]],
    classes: int,
    words: NDArray[np.int64] | None = None,
    **resampling: Any,
) -> dict[str, list[Lead]]:
    """By group, its best variant against each other of it, in their order, and against words alone.

    `variants`, `words` and `resampling` are those of `comparison_table`, as are the intervals' levels; `groups`:
    names of variants. A group without two variants that gave answers is left out.
    """
    found = {}
    for group, names in groups.items():
        answers = {
            name: _answers(name, true, given, classes)
            for name in names
            if not isinstance(given := variants[name], str)
        }
        if len(answers) < 2:
            continue
        together = _together(resampling, len(answers))
        others = answers if words is None else {**answers, WORDS_ALONE: words[None]}
        figures = {name: _macro_f1(true, runs, classes) for name, runs in others.items()}
        best = max(answers, key=lambda name: figures[name])
        found[group] = [
            Lead(
                best,
                name,
                (figures[best], figures[name]),
                *_lead(true, answers[best], runs, classes, together),
            )
            for name, runs in others.items()
            if name != best
        ]
    return found


def _macro_f1(true: NDArray[Any], runs: NDArray[np.int64], classes: int) -> float:
    """Its mean over the seeds; `runs`: answers, int [seeds, n]."""
    return float(np.mean([macro_f1(true, run, classes) for run in runs]))


def _compared(
    true: NDArray[Any],
    variants: Mapping[str, NDArray[np.int64]],
    baselines: Mapping[str, NDArray[np.int64]],
    labels: Sequence[str],
    resampling: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """The rows of the table for what gave answers, int [seeds, n]; a baseline is never the best."""
    answers = {**variants, **baselines}
    rows: dict[str, dict[str, Any]] = {
        name: {"variant": name, "seeds": len(runs)} | _moments(true, runs, labels)
        for name, runs in answers.items()
    }
    best, together = (
        max(variants, key=lambda name: rows[name]["macro_f1"]),
        _together(resampling, len(variants)),
    )
    for name, row in rows.items():
        ends = macro_f1_interval(true, answers[name], len(labels), **resampling)
        row |= dict(zip(("macro_f1_low", "macro_f1_high"), ends, strict=True)) | {"error": ""}
        difference, low, high = _lead(true, answers[best], answers[name], len(labels), together)
        row |= {"difference": -difference, "difference_low": -high, "difference_high": -low}
        row["differs"] = NO if low <= 0 <= high else YES
    rows[best] |= dict.fromkeys(("difference", "difference_low", "difference_high"), 0.0) | {"differs": BEST}
    return rows


def _answers(name: str, true: NDArray[Any], probabilities: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """The classes answered, int64 [seeds, n]."""
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 3 or probabilities.shape[1:] != (len(true), classes) or not len(probabilities):
        raise ValueError(
            f"variant {name!r}: probabilities must be [seeds, {len(true)}, {classes}], at least one seed. "
            f"Received shape: {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        raise DataError(
            f"variant {name!r}: its probabilities are not all finite numbers. Its training has diverged: lower "
            "training.learning_rate, or give it as failed."
        )
    answers: NDArray[np.int64] = probabilities.argmax(axis=2)
    return answers


def _moments(true: NDArray[Any], runs: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds of every figure."""
    figures = scores(np.stack([confusion_counts(true, run, len(labels)) for run in runs]))
    names = compared_figures(labels)
    figures |= dict(zip(names[-len(labels) :], figures["f1"].T, strict=True))
    moments: dict[str, Any] = {}
    for name in names:
        moments[name] = float(figures[name].mean())
        moments[f"{name}_std"] = float(figures[name].std(ddof=1)) if len(runs) > 1 else np.nan
    return moments


def _together(resampling: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The resampling at the level that each of so many intervals needs for all of them to hold (Bonferroni)."""
    return {**resampling, "confidence": 1 - (1 - resampling["confidence"]) / max(count, 1)}


def _lead(
    true: NDArray[Any],
    best: NDArray[np.int64],
    other: NDArray[np.int64],
    classes: int,
    resampling: Mapping[str, Any],
) -> tuple[float, float, float]:
    """The best's macro-F1 less another's, and the ends of the interval of that."""
    difference, low, high = paired_differences(true, best, other, classes, **resampling)["macro_f1"]
    return float(difference), float(low), float(high)
