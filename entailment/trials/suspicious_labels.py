"""Labels that models do not believe: rows of a cross-validation for a person to look at.

Confident learning (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset labels, Journal
of Artificial Intelligence Research, 2021): a row is counted to a class when its probability is at least the mean
probability of that class among the rows that are labelled so, and its label is suspicious when that is another class
than its own, and the models' answer is another too. So a class that models are never sure of does not hide behind a
frequent one. The order is that of the normalised margin: the probability of the label less the largest other one.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from entailment.data.split import UNDIVIDED
from entailment.evaluation.samples import Sample, samples
from entailment.records.index import pairs_in_order
from entailment.task import ID, TEXT, probability_columns

if TYPE_CHECKING:
    import pandas as pd

MOST_LISTED: Final = 100
MOST_SHOWN: Final = 20
GIVEN, SUGGESTED = "given_label", "suggested_label"


def suspicious_labels(
    true: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows whose label is suspicious, the most suspicious first, and the class that each is counted to instead.

    `true`: the given labels, class indices [n]; `probabilities` [n, classes] by models not trained on the row.

    >>> suspicious_labels(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]]))
    (array([1]), array([1]))
    """
    own = true[:, None] == np.arange(probabilities.shape[1])
    rows_of = own.sum(axis=0)
    thresholds = np.where(own, probabilities, 0).sum(axis=0) / np.maximum(rows_of, 1)
    confident = (probabilities >= thresholds) & (rows_of > 0)
    counted = np.where(confident, probabilities, -1).argmax(axis=1)
    believed = probabilities.argmax(axis=1) == true
    suspicious = np.flatnonzero(confident.any(axis=1) & (counted != true) & ~believed)
    others = np.where(own, -1, probabilities).max(axis=1)
    margins = (probabilities[np.arange(len(true)), true] - others)[suspicious]
    ranked = suspicious[np.argsort(margins, kind="stable")]
    return ranked, counted[ranked]


def suspicious_table(
    answers: "pd.DataFrame",
    rows: NDArray[np.int64],
    suggested: NDArray[np.int64],
    pairs: "pd.DataFrame",
    labels: Sequence[str],
) -> "pd.DataFrame":
    """What a person needs to look at suspicious labels, a line for each of `rows` of `answers`, at most MOST_LISTED.

    Columns: `row` (of the file, from 1, without the header), ids, texts, GIVEN, SUGGESTED and the probabilities.

    Args:
        answers: ids, `true_index` and probabilities of all rows, as the step `trial` gives them.
        rows: positions in `answers`, the most suspicious first.
        suggested: for each the class that it is counted to.
        pairs: every pair of the file, in its order.
        labels: the classes' names.
    """
    shown, names = answers.iloc[rows[:MOST_LISTED]].reset_index(drop=True), np.array(labels)
    numbered = pairs[[*ID, *TEXT]].assign(row=np.arange(1, len(pairs) + 1))
    table = pairs_in_order(shown, numbered)[["row", *ID, *TEXT]]
    table[GIVEN] = names[shown["true_index"]]
    table[SUGGESTED] = names[suggested[:MOST_LISTED]]
    return table.assign(**{name: shown[name] for name in probability_columns(labels)})


def suspicious_samples(
    records: Path,
    answers: "pd.DataFrame",
    rows: NDArray[np.int64],
    suggested: NDArray[np.int64],
    labels: Sequence[str],
) -> list[Sample]:
    """The first MOST_SHOWN of `suspicious_table` with their images; what each "answers" is the class suggested.

    `records`: undivided; `answers` has the position in them as `row`.
    """
    columns, positions = list(probability_columns(labels)), answers["row"].to_numpy()
    probabilities = np.full((positions.max() + 1, len(labels)), np.nan)
    probabilities[positions] = answers[columns]
    shown = positions[rows[:MOST_SHOWN]].tolist()
    drawn = samples(records, probabilities, shown, labels, UNDIVIDED)
    return [
        replace(sample, predicted=labels[index], probability=float(probabilities[row, index]))
        for sample, row, index in zip(drawn, shown, suggested[:MOST_SHOWN].tolist(), strict=True)
    ]
