"""What is shown of each of several models side by side, on a page and in pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entailment.metric_names import VALIDATION_MACRO_F1, VALIDATION_NLL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURVES: Final = {
    VALIDATION_NLL: "validation: negative log-likelihood, smaller is better",
    VALIDATION_MACRO_F1: "validation: macro-F1, larger is better",
}
"""The curves that are drawn, by their names in a history, with their titles."""
MODEL_COLORS: Final = (
    "#3b82f6",
    "#f97316",
    "#10b981",
    "#e11d48",
    "#8b5cf6",
    "#c99700",
    "#06b6d4",
    "#ec4899",
    "#84a01a",
    "#94816b",
)
"""Of the models, one after the other and again from the first; to be seen on white and on black."""


@dataclass(frozen=True)
class ShownModel:
    """One of the models side by side: a variant of a comparison, or a fold."""

    name: str
    curves: Mapping[str, Sequence[float]]
    """By name one value an epoch."""
    kept: Sequence[int]
    """The epochs that were kept, from 1, one for each seed."""
    confusion: "NDArray[np.int64]"
    """Rows are the true class; summed over the seeds."""
