"""What a model is worth when texts or images are missing: its test rows again, without them.

A missing input is what serving makes of it: vectors of zeros and presence 0.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.inputs import kind_named
from entailment.model.features import SplitFeatures
from entailment.model.head import kind_of, kinds_among
from entailment.statistics.confusion import confusion_counts, scores
from entailment.statistics.intervals import macro_f1_interval, paired_differences
from entailment.task import KINDS

if TYPE_CHECKING:
    import pandas as pd

NOTHING_MISSING: Final = "nothing_missing"
COLUMNS: Final = (
    "missing",
    "rows",
    "accuracy",
    "macro_f1",
    "macro_f1_low",
    "macro_f1_high",
    "majority_accuracy",
    "difference",
    "difference_low",
    "difference_high",
)


def absences(inputs: Iterable[str]) -> dict[str, list[str]]:
    """What may be missing for a head with these inputs, by name the inputs that are then hidden; something is left.

    A whole kind of input, `texts_missing`, or one side of a kind that a row may lack, `image_1_missing`.
    """
    names = list(inputs)
    kinds = [kind_named(name) for name in KINDS if name in kinds_among(names)]
    hidden = {f"{one.plural}_missing": [n for n in names if kind_of(n) == one.name] for one in kinds}
    sides = [side for one in kinds if one.optional for side in one.columns]
    hidden |= {f"{side}_missing": [n for n in names if n in (side, f"{side}_present")] for side in sides}
    return {row: group for row, group in hidden.items() if 0 < len(group) < len(names)}


def without(features: SplitFeatures, hidden: Collection[str]) -> SplitFeatures:
    """The same rows as if these inputs of the head were not there."""
    inputs: dict[str, Any] = {
        # A view of one zero: nothing is held however many the rows.
        name: np.broadcast_to(np.float32(0), column.shape) if name in hidden else column
        for name, column in features.inputs.items()
    }
    return replace(features, inputs=inputs)


def missing_modalities_table(
    features: SplitFeatures,
    predicted: NDArray[Any],
    answer: Callable[[SplitFeatures], NDArray[Any]],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> "pd.DataFrame":
    """Figures with everything there and with each absence that makes sense, a row each, columns COLUMNS.

    `predicted`: the classes answered with everything there, int [n]; `answer` gives the classes, int [n], for
    features with something missing; `majority`: the most frequent class of the training rows. `difference` is the
    macro-F1 less that with everything there, its interval paired. No rows at all where nothing can be missing.
    """
    import pandas as pd

    labels, classes = features.labels, len(features.classes)
    hidden = absences(features.inputs)
    answers = {name: answer(without(features, group)) for name, group in hidden.items()}
    answers = {NOTHING_MISSING: predicted} | answers if answers else {}
    resampling: dict[str, Any] = {
        "bootstrap_samples": bootstrap_samples,
        "confidence": confidence,
        "seed": seed,
    }
    rows = []
    for name, answered in answers.items():
        counts = confusion_counts(labels, answered, classes)
        low, high = macro_f1_interval(labels, answered[None], classes, **resampling)
        row = {"missing": name, "rows": len(labels)}
        row |= {figure: float(scores(counts)[figure]) for figure in ("accuracy", "macro_f1")}
        row |= {"macro_f1_low": low, "macro_f1_high": high}
        row["majority_accuracy"] = float((labels == majority).mean())
        if name != NOTHING_MISSING:
            difference = paired_differences(labels, answered[None], predicted[None], classes, **resampling)
            row |= dict(zip(COLUMNS[-3:], map(float, difference["macro_f1"]), strict=True))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def missing_metrics(table: "pd.DataFrame") -> dict[str, float]:
    """By `macro_f1_<absence>` the macro-F1 of each row but the first."""
    figures = zip(table["missing"], table["macro_f1"], strict=True)
    return {f"macro_f1_{name}": float(value) for name, value in figures if name != NOTHING_MISSING}
