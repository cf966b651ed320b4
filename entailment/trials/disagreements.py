"""Test rows that the variants of a comparison answer differently, to be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.evaluation.samples import Sample, samples

MOST_ROWS: Final = 100
"""Rows that are shown, at most: each may have two images."""


@dataclass(frozen=True)
class DisputedRow:
    """A test row that at least two variants answer differently."""

    row: int
    """Its position in the test split, from 0."""
    sample: Sample
    answers: dict[str, tuple[str, float]]
    """By variant its answer, a class's name, and the probability of that."""


@dataclass(frozen=True)
class Disagreements:
    """What variants of a comparison answer differently."""

    rows: list[DisputedRow]
    """The first MOST_ROWS: those on which the best two differ, then those that divide the variants most evenly."""
    total: int
    """How many rows there are on which any two differ."""
    by_pair: dict[tuple[str, str], int]
    """How many rows two variants answer differently, for each two, in the order of the variants."""


def disagreements(
    records: Path, probabilities: Mapping[str, NDArray[Any]], best_two: Sequence[str], labels: Sequence[str]
) -> Disagreements:
    """Finds the rows of the test split of `records` on which variants differ.

    Args:
        records: a folder of records.
        probabilities: by variant those of all test rows, float [seeds, n, classes]; a variant's answer is the class
            with the largest mean over the seeds.
        best_two: names of the best two variants; fewer where fewer gave answers.
        labels: the classes' names.

    Raises:
        DataError: the records are damaged.
    """
    means = {name: np.asarray(of_seeds).mean(axis=0) for name, of_seeds in probabilities.items()}
    answers = {name: mean.argmax(axis=1) for name, mean in means.items()}
    differing = {pair: answers[pair[0]] != answers[pair[1]] for pair in combinations(answers, 2)}
    by_pair = {pair: int(rows.sum()) for pair, rows in differing.items()}
    if not any(by_pair.values()):
        return Disagreements([], 0, by_pair)
    divided = np.sum(list(differing.values()), axis=0)
    first = answers[best_two[0]] != answers[best_two[1]]
    found = np.flatnonzero(divided)
    # The last key counts first.
    shown = found[np.lexsort((found, -divided[found], ~first[found]))][:MOST_ROWS].tolist()
    read = samples(records, means[best_two[0]], shown, labels)
    rows = [
        DisputedRow(
            row,
            sample,
            {name: (labels[answers[name][row]], float(mean[row].max())) for name, mean in means.items()},
        )
        for row, sample in zip(shown, read, strict=True)
    ]
    return Disagreements(rows, len(found), by_pair)
