"""Names of the columns and labels: the one place that spells them."""

import re
from collections.abc import Sequence
from typing import Final

LABELS: Final = ("Contradictory", "Implies", "NoEntailment")
"""The classes unless `task.labels` names others; a class's index is its position (the order of the Keras example)."""

SIDES: Final = (1, 2)
"""Side 1 is the premise, side 2 the hypothesis."""

ID: Final = ("id_1", "id_2")
TEXT: Final = ("text_1", "text_2")
IMAGE_URL: Final = ("image_1", "image_2")
LABEL: Final = "label"

PAIR_COLUMNS: Final = ("id_1", "text_1", "image_1", "id_2", "text_2", "image_2", "label")
"""Columns of a file of pairs, in the order of the original data set."""

LABEL_INDEX_COLUMN: Final = "label_index"
IMAGE_PATH: Final = ("image_path_1", "image_path_2")
IMAGE_STATUS: Final = ("image_status_1", "image_status_2")
IMAGE_REASON: Final = ("image_reason_1", "image_reason_2")

SPLITS: Final = ("train", "validation", "test")


def probability_columns(labels: Sequence[str]) -> tuple[str, ...]:
    """The probability columns of a prediction, in the order of the labels: `p_no_entailment` for NoEntailment."""
    return tuple(f"p_{in_snake_case(label)}" for label in labels)


def in_snake_case(label: str) -> str:
    """A class's name as columns and metrics spell it.

    >>> in_snake_case("NoEntailment")
    'no_entailment'
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|\W+", "_", label)
    return re.sub("_+", "_", parted).strip("_").lower()
