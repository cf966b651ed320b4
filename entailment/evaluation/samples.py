"""Pairs to be looked at: as they come, or rows of a split with what a model answered."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.images import Images
from entailment.data.image_paths import OK
from entailment.data.images import thumbnail
from entailment.records.reading import Row, read_rows
from entailment.task import IMAGE_PATH, IMAGE_STATUS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ERRORS_SHOWN: Final = 20
RAW_PIXELS: Final = 256
"""Longer side of an image that is shown as it was in its file."""


@dataclass(frozen=True)
class Sample:
    """One pair: images are RGB, uint8 [height, width, 3]; None where there is none.

    `label` is the true class's name; `predicted` (a class's name) and `probability` (its own, 0 to 1) are
    what a model answered, or None; `ids` are the posts', by which their row is found.
    """

    ids: tuple[str, str]
    text_1: str
    image_1: "np.ndarray | None"
    text_2: str
    image_2: "np.ndarray | None"
    label: str
    predicted: str | None
    probability: float | None


def samples(
    records: Path,
    probabilities: "np.ndarray",
    rows: Sequence[int],
    labels: Sequence[str],
    split: str = "test",
) -> list[Sample]:
    """Some rows of a split, by number, in the order of `rows`.

    `probabilities`: float [n, classes] of all its rows; `labels`: the classes' names.
    """
    import numpy as np

    in_order = sorted(rows)
    found = dict(zip(in_order, read_rows(records, split, np.array(in_order, np.int64)), strict=True))
    return [_sample(found[row], probabilities[row], labels) for row in rows]


def rows_to_show(true: "np.ndarray", predicted: "np.ndarray", count: int) -> list[int]:
    """Numbers of at most `count` rows, as evenly as can be of each class, right and wrong answers: class by class.

    `true`, `predicted`: int [n]. The first rows of each kind are taken.

    >>> rows_to_show(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1]), 3)
    [0, 2, 4]
    """
    ranked: list[tuple[int, bool, int, int]] = []
    seen: dict[tuple[bool, int], int] = {}
    for row, (label, answer) in enumerate(zip(true.tolist(), predicted.tolist(), strict=True)):
        group = (label != answer, label)
        seen[group] = seen.get(group, 0) + 1
        ranked.append((seen[group], *group, row))
    return [row for _, _, _, row in sorted(sorted(ranked)[:count], key=lambda entry: (entry[2], *entry[1:]))]


def confident_errors(
    records: Path, true: "np.ndarray", probabilities: "np.ndarray", labels: Sequence[str]
) -> list[Sample]:
    """The wrong answers with the largest probability, at most ERRORS_SHOWN, the surest first."""
    import numpy as np

    wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
    surest = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")[:ERRORS_SHOWN]
    return samples(records, probabilities, wrong[surest].tolist(), labels)


def raw_samples(pairs: "pd.DataFrame", labels: Sequence[str], config: Images) -> list[Sample]:
    """All of some pairs, with their images as they are.

    `pairs`: with paths of their images, as `resolve_image_paths` gives them.
    """
    return [
        Sample(
            (row["id_1"], row["id_2"]),
            *(row["text_1"], _image(row, 0, config), row["text_2"], _image(row, 1, config)),
            label=labels[row["label_index"]],
            predicted=None,
            probability=None,
        )
        for row in pairs.to_dict("records")
    ]


def _image(pair: Mapping[Hashable, Any], side: int, config: Images) -> "np.ndarray | None":
    if pair[IMAGE_STATUS[side]] != OK:
        return None
    try:
        data = Path(pair[IMAGE_PATH[side]]).read_bytes()
    except OSError:  # gone since it was found
        return None
    return thumbnail(data, RAW_PIXELS, config.max_pixels, config.max_decoded_bytes)


def _sample(row: Row, answer: "np.ndarray", labels: Sequence[str]) -> Sample:
    index, (text_1, text_2) = int(answer.argmax()), row.values["text"]
    image_1, image_2 = row.values.get("image", (None, None))
    return Sample(
        ids=row.ids,
        text_1=text_1,
        image_1=image_1,
        text_2=text_2,
        image_2=image_2,
        label=labels[row.label],
        predicted=labels[index],
        probability=float(answer[index]),
    )
