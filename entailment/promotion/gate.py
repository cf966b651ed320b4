"""The promotion gate: whether a challenger takes the champion's place, and every reason with its numbers.

Both answer the same test rows. Only rows that the champion never trained on count where the two are compared, by
paired intervals of differences (`entailment.statistics.intervals`). The challenger is better when that of macro-F1
lies above 0. A class or a slice counts against it when the whole interval lies below a margin, -`max_loss`: in the
terms of trials of non-inferiority it is inferior then (Piaggio, Elbourne, Pocock, Evans and Altman, Reporting of
noninferiority and equivalence randomized trials: extension of the CONSORT 2010 statement, 2012, figure 1). One that
holds the margin is inconclusive, as nearly every one is where rows are few. `python benchmarks/gate.py` counts what
these conditions let through and what they stop.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.configuration.promotion import Promotion
from entailment.evaluation.words_baseline import WORDS_ALONE
from entailment.statistics.calibration import expected_calibration_error
from entailment.statistics.confusion import confusion_counts, scores
from entailment.statistics.intervals import paired_differences

PROMOTED: Final = "promoted"
REFUSED: Final = "refused"
ROLLED_BACK: Final = "rolled back"

Differences = Mapping[str, tuple[Any, Any, Any]]
"""What `paired_differences` gives."""


@dataclass(frozen=True)
class Evidence:
    """What the gate judges by: n test rows of the challenger."""

    labels: NDArray[np.int64]
    """Class indices [n]."""
    challenger: NDArray[np.float64]
    """Its probabilities [n, classes]."""
    classes: tuple[str, ...]
    """Their names, in the order of the indices."""
    majority: int
    """The most frequent class of the challenger's training rows."""
    champion_version: str
    """The champion now, "" where there is none."""
    champion: NDArray[np.float64] | None = None
    """Its probabilities [n, classes], NaN in a row that it could not answer; None: nobody to be compared with."""
    unseen: NDArray[np.bool_] | None = None
    """Rows [n] that the champion never trained on."""
    slices: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """By name the rows [n] of each slice."""
    no_champion: str = "there is no champion yet"
    """Why there is nobody to be compared with."""
    words: NDArray[np.int64] | None = None
    """What words alone answer [n]; None where they cannot."""


@dataclass(frozen=True)
class Reason:
    """One condition of the gate."""

    name: str
    passed: bool
    text: str
    """What was found, in words and numbers."""
    figures: Mapping[str, float | int]


@dataclass(frozen=True)
class Decision:
    """What the gate says."""

    promote: bool
    champion_version: str
    """The champion when it was judged, "" for none."""
    reasons: tuple[Reason, ...]

    @property
    def why(self) -> str:
        """What decided it: every condition that was not met, or what the new champion is better than."""
        failed = [reason.text for reason in self.reasons if not reason.passed]
        by_name = {reason.name: reason.text for reason in self.reasons}
        return "; ".join(failed) or by_name.get("better", by_name["baseline"])

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**asdict(self), "reasons": [asdict(reason) for reason in self.reasons], "why": self.why}


def decide(evidence: Evidence, config: Promotion, *, bootstrap_samples: int, seed: int) -> Decision:
    """Judges a challenger; it is promoted when every reason is passed.

    Always: enough rows to judge by, of every class, better than the baseline `config.baseline`, calibrated.
    With a champion also: better than it, and not shown to be worse by more than `config.max_loss` on a class, or on a
    slice that has rows enough.
    The same evidence and seed give the same decision.
    """
    resampling = {"bootstrap_samples": bootstrap_samples, "confidence": config.confidence, "seed": seed}
    rows = _comparable(evidence)
    reasons = [_enough_rows(evidence, rows, config), _every_class(evidence, rows)]
    reasons += [_above_baseline(evidence, config, resampling), _calibrated(evidence, config)]
    if evidence.champion is not None and rows.any():
        differences = _differences(evidence, rows, resampling)
        reasons.append(_better(evidence, rows, differences, config))
        reasons.append(_no_class_worse(evidence, differences, config))
        reasons.append(_no_slice_worse(evidence, rows, resampling, config))
    return Decision(all(reason.passed for reason in reasons), evidence.champion_version, tuple(reasons))


def promotion_record(
    version: str, outcome: str, *, how: str, by: str, at: str, why: str, previous: str, reasons: Iterable[Any]
) -> dict[str, Any]:
    """What is kept of a decision about `version`, whoever made it.

    `outcome`: PROMOTED, REFUSED or ROLLED_BACK; `how`: gate, person or automatic; `previous`: the champion before;
    `reasons`: those of the gate as dictionaries, none where a person decided.
    """
    return {
        **{"version": version, "outcome": outcome, "how": how, "by": by, "at": at, "why": why},
        **{"previous": previous, "reasons": list(reasons)},
    }


def _comparable(evidence: Evidence) -> NDArray[np.bool_]:
    """Rows that both may be compared on; all of them where there is no champion."""
    rows: NDArray[np.bool_] = np.ones(len(evidence.labels), bool)
    if evidence.champion is None:
        return rows
    rows &= np.isfinite(evidence.champion).all(axis=1)
    return rows if evidence.unseen is None else rows & evidence.unseen


def _enough_rows(evidence: Evidence, rows: NDArray[np.bool_], config: Promotion) -> Reason:
    count, total = int(rows.sum()), len(rows)
    if evidence.champion is None:
        text = f"{count} test rows ({evidence.no_champion})"
    else:
        text = f"{count} of {total} test rows that version {evidence.champion_version} answered and never trained on"
    figures = {"rows": count, "test_rows": total, "at_least": config.min_rows}
    return Reason("rows", count >= config.min_rows, f"{text}; at least {config.min_rows} are needed", figures)


def _every_class(evidence: Evidence, rows: NDArray[np.bool_]) -> Reason:
    counts = np.bincount(evidence.labels[rows], minlength=len(evidence.classes))
    lacking = [name for name, count in zip(evidence.classes, counts, strict=True) if not count]
    what = "the test split has" if evidence.champion is None else "those test rows have"
    text = f"{what} no row of {', '.join(lacking)}" if lacking else f"{what} rows of every class"
    return Reason("every_class", not lacking, text, {"lacking": len(lacking)})


def _above_baseline(evidence: Evidence, config: Promotion, resampling: Mapping[str, Any]) -> Reason:
    """Better than the baseline that is demanded; the figures of the other one stand beside it."""
    majority = np.full_like(evidence.labels, evidence.majority)
    called = f"always answering {evidence.classes[evidence.majority]}"
    found = {"majority": _against(evidence, called, majority, resampling)}
    if evidence.words is not None:
        found["words"] = _against(evidence, WORDS_ALONE, evidence.words, resampling)
    demanded = config.baseline if config.baseline in found else "majority"
    text, figures = found.pop(demanded)
    figures |= {
        f"{name}_{figure}": value for name, (_, other) in found.items() for figure, value in other.items()
    }
    if demanded != config.baseline:
        text += f"; {WORDS_ALONE} (promotion.baseline) cannot answer: no texts, or one class to learn from"
    return Reason("baseline", figures["low"] > 0, text, figures)


def _against(
    evidence: Evidence, called: str, answers: NDArray[np.int64], resampling: Mapping[str, Any]
) -> tuple[str, dict[str, float]]:
    """The challenger against a baseline's answers, in words and in numbers."""
    predicted = evidence.challenger.argmax(axis=1)
    differences = paired_differences(
        evidence.labels, predicted[None], answers[None], len(evidence.classes), **resampling
    )
    difference, low, high = map(float, differences["macro_f1"])
    own, base = (_figures(evidence, evidence.labels, side) for side in (predicted, answers))
    text = (
        f"macro-F1 {own['macro_f1']:.3f} against {base['macro_f1']:.3f} of {called}:"
        f" {_with_interval(difference, low, high)} must be above 0 ({resampling['confidence']:.0%} interval,"
        f" accuracy {own['accuracy']:.3f} against {base['accuracy']:.3f})"
    )
    figures = {"macro_f1": own["macro_f1"], "baseline": base["macro_f1"]}
    return text, figures | {"difference": difference, "low": low, "high": high}


def _calibrated(evidence: Evidence, config: Promotion) -> Reason:
    error = expected_calibration_error(evidence.labels, evidence.challenger)
    text = f"expected calibration error {error:.3f}; at most {config.max_ece} is allowed"
    return Reason("calibration", error <= config.max_ece, text, {"ece": error, "at_most": config.max_ece})


def _better(
    evidence: Evidence, rows: NDArray[np.bool_], differences: Differences, config: Promotion
) -> Reason:
    labels, challenger, champion = _answers(evidence, rows)
    own, other = (_figures(evidence, labels, answers)["macro_f1"] for answers in (challenger, champion))
    difference, low, high = map(float, differences["macro_f1"])
    text = (
        f"macro-F1 {own:.3f} against {other:.3f} of version {evidence.champion_version}:"
        f" {_with_interval(difference, low, high)} must be above 0 ({config.confidence:.0%} interval)"
    )
    figures = {"macro_f1": own, "champion": other, "difference": difference, "low": low, "high": high}
    return Reason("better", low > 0, text, figures)


def _no_class_worse(evidence: Evidence, differences: Differences, config: Promotion) -> Reason:
    by_class = zip(*(ends.tolist() for ends in differences["f1"]), strict=True)
    return _no_harm("classes", "F1", dict(zip(evidence.classes, by_class, strict=True)), config)


def _no_slice_worse(
    evidence: Evidence, rows: NDArray[np.bool_], resampling: Mapping[str, Any], config: Promotion
) -> Reason:
    slices = {name: rows & mask for name, mask in evidence.slices.items()}
    differences = {
        name: tuple(map(float, _differences(evidence, inside, resampling)["macro_f1"]))
        for name, inside in slices.items()
        if inside.sum() >= config.min_slice_rows
    }
    if not differences:
        text = f"no slice has {config.min_slice_rows} rows"
        return Reason("slices", True, text, {"at_least_rows": config.min_slice_rows})
    return _no_harm("slices", "macro-F1", differences, config)


def _no_harm(
    name: str, figure: str, differences: Mapping[str, tuple[float, ...]], config: Promotion
) -> Reason:
    """Whether no part's interval, the last two of its numbers, lies below the margin."""
    harmed = [part for part, (_, _, high) in differences.items() if high < -config.max_loss]
    shown = ", ".join(f"{part} {_with_interval(*found)}" for part, found in differences.items())
    text = (
        f"{figure} against the champion ({config.confidence:.0%} intervals): {shown};"
        f" {' and '.join(harmed) or 'none'} shown to be worse by more than {config.max_loss}"
    )
    figures = {
        f"{part}{end}": value
        for part, found in differences.items()
        for end, value in zip(("", "_low", "_high"), found, strict=True)
    }
    return Reason(name, not harmed, text, figures)


def _differences(evidence: Evidence, rows: NDArray[np.bool_], resampling: Mapping[str, Any]) -> Differences:
    """The challenger's figures in some rows less the champion's."""
    labels, challenger, champion = _answers(evidence, rows)
    return paired_differences(labels, challenger[None], champion[None], len(evidence.classes), **resampling)


def _answers(
    evidence: Evidence, rows: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Labels, the challenger's and the champion's answers in some rows."""
    assert evidence.champion is not None
    challenger, champion = (side[rows].argmax(axis=1) for side in (evidence.challenger, evidence.champion))
    return evidence.labels[rows], challenger, champion


def _figures(evidence: Evidence, labels: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    figures = scores(confusion_counts(labels, predicted, len(evidence.classes)))
    return {name: float(figures[name]) for name in ("macro_f1", "accuracy")}


def _with_interval(difference: float, low: float, high: float) -> str:
    return f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"
