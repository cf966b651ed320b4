"""The names under which figures are logged: a group, a slash, and what is measured.

`train/` and `val/` hold a figure for each epoch, counted from 1; `test/` the final figures of the test split (in a
cross-validation the mean over the folds), `baseline/` what answers without a model get on the same rows, and
`pooled/` the figures of the answers to all folds together. A comparison's parent has those of the best variant in
`best/`, and in `variants/` how many there are.
"""

from collections.abc import Mapping
from typing import Final

TRAIN: Final = "train/"
VALIDATION: Final = "val/"
TEST: Final = "test/"
BASELINE: Final = "baseline/"
POOLED: Final = "pooled/"
BEST_VARIANT: Final = "best/"
VARIANTS: Final = "variants/"

TRAIN_LOSS: Final = TRAIN + "loss"
VALIDATION_MACRO_F1: Final = VALIDATION + "macro_f1"
VALIDATION_NLL: Final = VALIDATION + "nll"
"""Mean negative log-likelihood: the same measure for every loss."""
ACCURACY: Final = TEST + "accuracy"
MACRO_F1: Final = TEST + "macro_f1"
MACRO_F1_LOW: Final = TEST + "macro_f1_low"
MACRO_F1_HIGH: Final = TEST + "macro_f1_high"
MAJORITY_ACCURACY: Final = BASELINE + "majority_accuracy"
MAJORITY_MACRO_F1: Final = BASELINE + "majority_macro_f1"
MAJORITY_DIFFERENCE: Final = BASELINE + "majority_difference"
"""The model's macro-F1 less that of the majority; with the ends of its paired interval under `_low` and `_high`."""
WORDS_ACCURACY: Final = BASELINE + "words_accuracy"
WORDS_MACRO_F1: Final = BASELINE + "words_macro_f1"
WORDS_DIFFERENCE: Final = BASELINE + "words_difference"
"""The model's macro-F1 less that of words alone; with the ends of its paired interval."""
WORDS_DIFFERENCE_LOW: Final = WORDS_DIFFERENCE + "_low"
WORDS_DIFFERENCE_HIGH: Final = WORDS_DIFFERENCE + "_high"

MAJORITY_NAMES: Final = (MAJORITY_MACRO_F1, MAJORITY_ACCURACY, MAJORITY_DIFFERENCE)
"""What is logged of a baseline: macro-F1, accuracy, and what the model is better by in macro-F1."""
WORDS_NAMES: Final = (WORDS_MACRO_F1, WORDS_ACCURACY, WORDS_DIFFERENCE)


def in_group(figures: Mapping[str, float], group: str) -> dict[str, float]:
    """Figures by their names in `group`; one that has a group keeps it.

    >>> in_group({"macro_f1": 0.9, "baseline/majority_accuracy": 0.7}, TEST)
    {'test/macro_f1': 0.9, 'baseline/majority_accuracy': 0.7}
    """
    return {name if "/" in name else group + name: value for name, value in figures.items()}


def is_end(name: str) -> bool:
    """Whether a figure is an end of an interval: the mean of such ends is no end of anything."""
    return name.endswith(("_low", "_high"))


def figure_of(figures: Mapping[str, str], name: str) -> float | None:
    """A figure among tags of a version, also by the name that it had before there were groups; None: not there.

    >>> figure_of({"test_macro_f1_ci_low": "0.5"}, "test/macro_f1_low")
    0.5
    """
    what = name.partition("/")[2]
    for end in ("_low", "_high"):
        what = what.removesuffix(end) + f"_ci{end}" if what.endswith(end) else what
    found = figures.get(name, figures.get(f"test_{what}"))
    return None if found is None else float(found)
