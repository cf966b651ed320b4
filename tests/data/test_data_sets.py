"""What is expected of whole data sets, the generated one and the real tweets, whoever changes them or the rules."""

import re

import numpy as np
import pytest

from entailment.configuration.split import Split
from entailment.configuration.task import Task
from entailment.data.pairs import read_pairs
from entailment.data.sample import write_sample
from entailment.data.split import shared_between_splits, split_pairs
from entailment.statistics.confusion import macro_f1
from entailment.task import ID, IMAGE_URL, LABEL, LABEL_INDEX_COLUMN, TEXT
from entailment.workspace import PROJECT

LINK = re.compile(r"https?://\S+")
WORD = re.compile(r"\w+")


@pytest.fixture(scope="module", params=["generated", "tweets"])
def pairs(request, tmp_path_factory):
    if request.param == "generated":
        folder = tmp_path_factory.mktemp("sets") / "sample"
        write_sample(folder, pairs=200)
        return read_pairs(folder / "pairs.csv", Task(), max_text_bytes=20_000)
    places = [folder / "shared" / "data" / "tweets_dev.csv" for folder in (PROJECT, PROJECT.parent)]
    found = [place for place in places if place.is_file()]
    if not found:
        pytest.skip(f"the real tweets for measuring are not here: {places[0]}")
    return read_pairs(found[0], Task(), max_text_bytes=20_000)


def test_most_pairs_are_of_no_entailment_and_the_rare_classes_are_not_too_rare(pairs):
    shares = pairs[LABEL].value_counts(normalize=True)
    assert 0.6 <= shares["NoEntailment"] <= 0.9
    assert shares["Implies"] >= 0.05 and shares["Contradictory"] >= 0.05


def test_every_post_says_something_and_few_are_longer_than_the_encoder_reads(pairs):
    """A token is a part of a word: 60 words are about as many as fit in 128 tokens."""
    words = np.array([len(WORD.findall(LINK.sub(" ", text))) for name in TEXT for text in pairs[name]])
    assert words.min() >= 1
    assert np.quantile(words, 0.99) <= 60


def test_the_default_split_shares_no_post_and_keeps_the_classes_shares(pairs):
    splits = split_pairs(pairs, Split(), seed=42)
    assert shared_between_splits(splits) == {"ids": 0, "texts": 0}
    whole = pairs[LABEL].value_counts(normalize=True)
    for _, rows in splits.groupby("split"):
        # Shares times rows is seldom a whole number, in neither of the two cuts.
        assert abs(rows[LABEL].value_counts() - len(rows) * whole).max() < 2


def test_what_is_beside_the_content_does_not_tell_the_label(pairs):
    """Lengths, numbers of links and hashtags, file formats, ids: a tree on them gets 0.29 and 0.40 macro-F1."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    columns = [pairs[name].str.len() for name in (*TEXT, *IMAGE_URL)]
    columns += [pairs[name].str.count(sign) for name in TEXT for sign in ("#", "http", "@")]
    columns += [pairs[name].str.contains("png") for name in IMAGE_URL]
    columns += [pairs[name].astype("int64") for name in ID]
    tree = DecisionTreeClassifier(max_depth=6, class_weight="balanced", random_state=0)
    labels = pairs[LABEL_INDEX_COLUMN].to_numpy()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    answers = cross_val_predict(tree, np.column_stack(columns).astype(float), labels, cv=folds)
    assert macro_f1(labels, answers, 3) < 0.5
