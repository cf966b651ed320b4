"""Names of the columns and labels: the one place that spells them."""

from typing import Final

LABELS: Final = ("Contradictory", "Implies", "NoEntailment")
"""Class names; a class's index is its position (the order of the Keras example)."""

LABEL_INDEX: Final = {label: index for index, label in enumerate(LABELS)}

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

PROBABILITY: Final = ("p_contradictory", "p_implies", "p_no_entailment")
"""Probability columns of a prediction, in the order of LABELS."""
