"""Simulated test splits: labels with given shares, and answers of models whose confusion is known.

They are what the statistics are tried on: the population's figures are known there, and a split costs nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

SHARES = {"7.8/7.8/84.4": np.array([0.078, 0.078, 0.844]), "6/10/84": np.array([0.06, 0.10, 0.84])}
"""Shares of Contradictory, Implies and NoEntailment; the first ones are those of the real tweets."""
SIGNALS = {
    "weak": np.array([[0.35, 0.10, 0.55], [0.10, 0.35, 0.55], [0.05, 0.05, 0.90]]),
    "strong": np.array([[0.85, 0.05, 0.10], [0.05, 0.85, 0.10], [0.02, 0.02, 0.96]]),
}
"""What a model answers (columns) to rows of each class; macro-F1 is 0.53 and 0.86 with the first shares."""


def drawn_labels(
    random: np.random.Generator, rows: int, shares: np.ndarray, counts: str = "drawn"
) -> np.ndarray:
    """Class indices, int64 [rows]; the `counts` of the classes are drawn, or fixed as in a stratified split."""
    if counts == "drawn":
        return random.choice(len(shares), rows, p=shares)
    each = np.rint(rows * shares[:-1]).astype(np.int64)
    return np.repeat(np.arange(len(shares)), [*each, rows - each.sum()])


def drawn_answers(
    random: np.random.Generator, labels: np.ndarray, *confusions: np.ndarray, alike: float
) -> list[np.ndarray]:
    """Answers of models, int64 [n] each, whose `confusions` are [classes, classes], rows the true class.

    In a share `alike` of the rows the models answer as alike as their confusions let them, else each by itself.
    """
    common, shared = random.random(len(labels)), random.random(len(labels)) < alike
    answers = []
    for confusion in confusions:
        where = np.where(shared, common, random.random(len(labels)))
        answers.append((where[:, None] > confusion.cumsum(axis=1)[labels][:, :-1]).sum(axis=1))
    return answers


def with_recall(confusion: np.ndarray, *more: float) -> np.ndarray:
    """The same with so much more recall of the first classes, taken from their wrong answers in proportion."""
    changed = confusion.copy()
    for label, gain in enumerate(more):
        wrong = 1 - confusion[label, label]
        changed[label] *= (wrong - gain) / wrong
        changed[label, label] = confusion[label, label] + gain
    return changed


def in_processes(work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    """`work` of each part in turn, done by as many processes as there are cores.

    One thread each: those of the matrix products would wait for each other.
    """
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with ProcessPoolExecutor() as pool:
        yield from pool.map(work, parts)
