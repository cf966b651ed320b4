"""Names of the columns, labels and kinds of input: the one place that spells them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LABELS: Final = ("Contradictory", "Implies", "NoEntailment")
"""The classes unless `task.labels` names others; a class's index is its position (the order of the Keras example)."""

SIDES: Final = (1, 2)
"""Side 1 is the premise, side 2 the hypothesis."""

ID: Final = ("id_1", "id_2")
TEXT: Final = ("text_1", "text_2")
IMAGE_URL: Final = ("image_1", "image_2")
LABEL: Final = "label"

BLANK: Final = (
    "[\\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]*"
)
"""A text in which nothing is to be seen: white space, control characters, and characters without width or ink."""

PAIR_COLUMNS: Final = ("id_1", "text_1", "image_1", "id_2", "text_2", "image_2", "label")
"""Columns of a file of pairs, in the order of the original data set."""

IMAGE_FILE: Final = ("image_file_1", "image_file_2")
"""Columns of a table of a data set of our own: the stored image's name, empty where there is none."""
IMAGE_SHA256: Final = ("image_sha256_1", "image_sha256_2")

LABEL_INDEX_COLUMN: Final = "label_index"
IMAGE_PATH: Final = ("image_path_1", "image_path_2")
IMAGE_STATUS: Final = ("image_status_1", "image_status_2")
IMAGE_REASON: Final = ("image_reason_1", "image_reason_2")

SPLITS: Final = ("train", "validation", "test")

_TAKEN: Final = ("id", "label", "texts", "images", "multimodal", "preprocessor", "head", "reader")
"""Names that a column, a choice or a file of a registered model has."""
_FILES: Final = {path.stem for path in (Path(__file__).parent / "inputs").glob("*.py")} - {"__init__", "kind"}
if _wrong := [name for name in _FILES if not re.fullmatch("[a-z]+", name) or name in _TAKEN]:
    raise ImportError(
        f"entailment/inputs/{_wrong[0]}.py: a kind of input is named in small letters, and not {', '.join(_TAKEN)}."
    )
KINDS: Final = ("text", "image", *sorted(_FILES - {"text", "image"}))
"""The kinds of input: one for each file in `entailment/inputs/`, called as the file is."""
MULTIMODAL: Final = "multimodal"
INPUTS: Final = (MULTIMODAL, *KINDS)
"""What a model may see: every kind that its data have, or one."""


def kinds_of(inputs: str) -> tuple[str, ...]:
    """The kinds of input that one of INPUTS stands for."""
    return KINDS if inputs == MULTIMODAL else (inputs,)


def columns_of(kind: str) -> tuple[str, str]:
    """The columns that hold a kind of input in a table and in what a registered model takes.

    >>> columns_of("text")
    ('text_1', 'text_2')
    """
    return f"{kind}_1", f"{kind}_2"


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
