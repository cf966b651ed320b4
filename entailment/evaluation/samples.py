"""Rows of a split with what a model answered, to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.records.reading import Row, read_rows

if TYPE_CHECKING:
    import numpy as np

ERRORS_SHOWN: Final = 20


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
    """Some rows of a split, by number, in the order of `rows`; numbers that are too large are left out.

    `probabilities`: float [n, classes] of all its rows; `labels`: the classes' names.
    """
    import numpy as np

    shown = [row for row in rows if row < len(probabilities)]
    in_order = sorted(shown)
    found = dict(zip(in_order, read_rows(records, split, np.array(in_order, np.int64)), strict=True))
    return [_sample(found[row], probabilities[row], labels) for row in shown]


def confident_errors(
    records: Path, true: "np.ndarray", probabilities: "np.ndarray", labels: Sequence[str]
) -> list[Sample]:
    """The wrong answers with the largest probability, at most ERRORS_SHOWN, the surest first."""
    import numpy as np

    wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
    surest = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")[:ERRORS_SHOWN]
    return samples(records, probabilities, wrong[surest].tolist(), labels)


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
