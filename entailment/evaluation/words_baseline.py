"""What words alone can tell: the baseline that a model of pairs must beat.

Both texts of a pair are one bag of words and of neighbouring words, weighted by TF-IDF with sublinear frequencies,
and logistic regression tells the classes by them (Wang and Manning, Baselines and bigrams: simple, good sentiment and
topic classification, 2012). It finds what a rule on keywords would. Nothing of it is stored.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from entailment.metric_names import (
    WORDS_ACCURACY,
    WORDS_DIFFERENCE,
    WORDS_DIFFERENCE_HIGH,
    WORDS_DIFFERENCE_LOW,
    WORDS_MACRO_F1,
)
from entailment.records.index import pairs_in_order, read_index
from entailment.statistics.confusion import confusion_counts, scores
from entailment.statistics.intervals import paired_differences
from entailment.task import ID, TEXT

if TYPE_CHECKING:
    import pandas as pd

WORDS_ALONE: Final = "words alone"
"""What the baseline is called in tables and sentences."""
HOW: Final = (
    "TF-IDF of both texts and logistic regression, learned from the same training rows (20,000 at most)"
)
"""What it is, in words."""
MOST_ROWS: Final = 20_000
"""Of more training rows so many are drawn, and so many are answered at once: seconds and bounded memory."""
_COLUMNS: Final = 2**14
"""Words are hashed into so many: memory is bounded, and a text without words is a row of zeros."""
_INVERSE_PENALTY: Final = 10.0


def answers_of_words(
    records: Path, splits: "pd.DataFrame", kinds: Collection[str], seed: int
) -> NDArray[np.int64] | None:
    """What words alone answer to the test rows of records, after their training rows: class indices, int64 [n].

    `splits`: the pairs with their texts; `kinds`: the kinds of input that the model sees. None where texts are not
    among them, or where all training rows are of one class.
    """
    if "text" not in kinds:
        return None
    train, test = (read_index(records, split) for split in ("train", "test"))
    rows = rows_to_learn_from(len(train), seed)
    learned = texts_of(train.ids.iloc[rows], splits)
    return words_answers(learned, train.labels[rows], texts_of(test.ids, splits))


def rows_to_learn_from(count: int, seed: int) -> NDArray[np.int64]:
    """Of so many rows at most MOST_ROWS, drawn, in order: the same for the same seed."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST_ROWS, replace=False))


def texts_of(ids: "pd.DataFrame", pairs: "pd.DataFrame") -> NDArray[np.object_]:
    """Both texts of each pair that `ids` names, as one, [n]; `pairs` have the texts."""
    found = pairs_in_order(ids, pairs[[*ID, *TEXT]])
    joined: NDArray[np.object_] = (found[TEXT[0]] + "\n" + found[TEXT[1]]).to_numpy(object)
    return joined


def words_answers(
    texts: NDArray[np.object_], labels: NDArray[np.int64], asked: NDArray[np.object_]
) -> NDArray[np.int64] | None:
    """Learns from texts with their class indices, [n], and answers others, [m]: int64 [m].

    The same whatever the number of threads. None where all are of one class.

    >>> good, bad = "all went well", "all went wrong"
    >>> words_answers(np.array([good, bad, good, bad]), np.array([0, 1, 0, 1]), np.array(["it went wrong"]))
    array([1])
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    if len(np.unique(labels)) < 2:
        return None
    model = make_pipeline(
        HashingVectorizer(
            token_pattern=r"\w+", ngram_range=(1, 2), n_features=_COLUMNS, alternate_sign=False, norm=None
        ),
        TfidfTransformer(sublinear_tf=True),
        LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000),
    )
    # Sums over several threads depend on how many there are.
    with threadpool_limits(1):
        model.fit(texts, labels)
        parts = [model.predict(asked[row : row + MOST_ROWS]) for row in range(0, len(asked), MOST_ROWS)]
    return np.concatenate(parts).astype(np.int64)


def words_figures(
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    words: NDArray[np.int64] | None,
    classes: int,
    **resampling: Any,
) -> dict[str, float]:
    """What is logged of words alone beside a model's figures, by its whole name; nothing without words' answers.

    `true`, `words`: class indices, int [n]; `predicted`: the model's, int [seeds, n]. The difference is of macro-F1,
    the model's mean over its seeds less that of words, and its interval is paired; `resampling`: as
    `paired_differences` takes it.
    """
    if words is None:
        return {}
    figures = scores(confusion_counts(true, words, classes))
    differences = paired_differences(true, predicted, words[None], classes, **resampling)
    difference, low, high = map(float, differences["macro_f1"])
    return {
        WORDS_ACCURACY: float(figures["accuracy"]),
        WORDS_MACRO_F1: float(figures["macro_f1"]),
        WORDS_DIFFERENCE: difference,
        WORDS_DIFFERENCE_LOW: low,
        WORDS_DIFFERENCE_HIGH: high,
    }
