"""What a model is worth when texts or images are missing: its test rows again, without them.

A missing input is what serving makes of it: vectors of zeros and presence 0.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.model.features import SplitFeatures
from entailment.statistics.metrics import confusion_counts, interval, resampled_counts, scores
from entailment.statistics.paired_bootstrap import paired_bootstrap

if TYPE_CHECKING:
    import pandas as pd

NOTHING_MISSING: Final = "nothing_missing"
ABSENCES: Final[Mapping[str, str]] = {
    "texts_missing": "text",
    "images_missing": "image",
    "image_1_missing": "image_1",
    "image_2_missing": "image_2",
}
"""By name of the row what the names of the hidden inputs begin with."""
COLUMNS: Final = (
    "missing",
    "rows",
    "accuracy",
    "macro_f1",
    "macro_f1_ci_low",
    "macro_f1_ci_high",
    "majority_accuracy",
    "difference",
    "difference_ci_low",
    "difference_ci_high",
)


def absences(inputs: Iterable[str]) -> list[str]:
    """The names in ABSENCES that make sense for a head with these inputs: something is hidden, something is left."""
    names = list(inputs)
    hidden = {row: [name.startswith(begins) for name in names] for row, begins in ABSENCES.items()}
    return [row for row, mask in hidden.items() if any(mask) and not all(mask)]


def without(features: SplitFeatures, absence: str) -> SplitFeatures:
    """The same rows as if what `absence`, a name in ABSENCES, names were not there."""
    begins = ABSENCES[absence]
    inputs: dict[str, Any] = {
        # A view of one zero: nothing is held however many the rows.
        name: np.broadcast_to(np.float32(0), column.shape) if name.startswith(begins) else column
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
    answers = {name: answer(without(features, name)) for name in absences(features.inputs)}
    answers = {NOTHING_MISSING: predicted} | answers if answers else {}
    rows = []
    for name, answered in answers.items():
        counts = confusion_counts(labels, answered, classes)
        low, high = interval(
            scores(resampled_counts(counts, bootstrap_samples, seed))["macro_f1"], confidence
        )
        row = {"missing": name, "rows": len(labels)}
        row |= {figure: float(scores(counts)[figure]) for figure in ("accuracy", "macro_f1")}
        row |= {"macro_f1_ci_low": float(low), "macro_f1_ci_high": float(high)}
        row["majority_accuracy"] = float((labels == majority).mean())
        if name != NOTHING_MISSING:
            difference = paired_bootstrap(
                labels, answered[None], predicted[None], classes, bootstrap_samples, confidence, seed
            )
            row |= dict(zip(COLUMNS[-3:], difference, strict=True))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def missing_metrics(table: "pd.DataFrame", prefix: str) -> dict[str, float]:
    """By `<prefix>macro_f1_<absence>` the macro-F1 of each row but the first."""
    figures = zip(table["missing"], table["macro_f1"], strict=True)
    return {f"{prefix}macro_f1_{name}": float(value) for name, value in figures if name != NOTHING_MISSING}
