"""The split: equal to the two scikit-learn calls, stable under growth, honest about leaks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from entailment.configuration import Split
from entailment.data.schema import LABELS, SPLITS
from entailment.data.split import leak_warning, shared_between_splits, split_pairs, split_report
from entailment.errors import DataError


def frame(labels):
    n = len(labels)
    return pd.DataFrame(
        {
            "id_1": [f"a{i}" for i in range(n)],
            "id_2": [f"b{i}" for i in range(n)],
            "text_1": [f"one {i}" for i in range(n)],
            "text_2": [f"two {i}" for i in range(n)],
            "label": [LABELS[label] for label in labels],
            "label_index": labels,
        }
    )


def ids(splits, name):
    return splits.loc[splits["split"] == name, "id_1"].tolist()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(60, 300),
    st.integers(0, 1000),
    st.sampled_from([0.1, 0.2, 0.33]),
    st.sampled_from([0.1, 0.25]),
)
def test_stratified_equals_the_two_calls_of_the_example(n, seed, test, validation):
    labels = np.random.default_rng(seed).choice(3, n, p=[0.2, 0.2, 0.6])
    labels[:30] = np.arange(30) % 3
    pairs = frame(labels)
    splits = split_pairs(pairs, Split(test_fraction=test, validation_fraction=validation), seed)
    rest, expected_test = train_test_split(pairs, test_size=test, random_state=seed, stratify=pairs["label"])
    expected_train, expected_validation = train_test_split(
        rest, test_size=validation, random_state=seed, stratify=rest["label"]
    )
    assert ids(splits, "test") == expected_test["id_1"].tolist()
    assert ids(splits, "validation") == expected_validation["id_1"].tolist()
    assert ids(splits, "train") == expected_train["id_1"].tolist()


def test_the_example_s_sizes():
    pairs = frame(np.repeat([0, 1, 2], [109, 109, 1182]))
    counts = split_report(split_pairs(pairs, Split(), 42))["counts"]
    assert [sum(counts[name].values()) for name in SPLITS] == [1197, 63, 140]
    assert counts["test"]["NoEntailment"] == 118


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 200))
def test_by_hash_growing_data_move_no_row(seed, more):
    labels = np.random.default_rng(seed).choice(3, 400 + more)
    pairs = frame(labels)
    method = Split(method="hash", test_fraction=0.2, validation_fraction=0.2)
    before = split_pairs(pairs[:400], method, 1).set_index("id_1")["split"]
    after = split_pairs(pairs.sample(frac=1, random_state=seed), method, 2).set_index("id_1")["split"]
    assert (after[before.index] == before).all()


def test_by_hash_shares_are_about_right():
    splits = split_pairs(frame(np.zeros(20_000, int)), Split(method="hash"), 0)["split"]
    shares = splits.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.10, abs=0.01)
    assert shares["validation"] == pytest.approx(0.045, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["stratified", "hash"]), st.integers(100, 300))
def test_every_row_is_in_exactly_one_split(method, n):
    pairs = frame(np.arange(n) % 3)
    config = Split(method=method, test_fraction=0.2, validation_fraction=0.2)
    splits = split_pairs(pairs, config, 3)
    assert sorted(splits["id_1"]) == sorted(pairs["id_1"])
    assert set(splits["split"]) == set(SPLITS)


def test_too_few_rows_of_a_class_are_explained():
    with pytest.raises(
        DataError, match=r"Contradictory 1, .* too few|too few to split by label \(Contradictory 1"
    ):
        split_pairs(frame(np.array([0] + [1, 2] * 30)), Split(), 0)


def test_a_split_that_would_be_empty_is_named():
    with pytest.raises(DataError, match="split would be empty"):
        split_pairs(frame(np.arange(3)), Split(method="hash", test_fraction=0.01), 0)


def test_leaks_are_counted_warned_of_and_stopped():
    pairs = frame(np.arange(300) % 3)
    clean = split_pairs(pairs, Split(), 0)
    assert shared_between_splits(clean) == {"ids": 0, "texts": 0}
    assert leak_warning(split_report(clean)) is None
    leaky = split_pairs(pairs.assign(text_1="the same"), Split(), 0)
    assert shared_between_splits(leaky) == {"ids": 0, "texts": 1}
    assert "LEAK" in leak_warning(split_report(leaky))
    with pytest.raises(DataError, match=r"share 1 texts \(split.on_leak is error\)"):
        split_pairs(pairs.assign(text_1="the same"), Split(on_leak="error"), 0)


texts = st.lists(st.tuples(*2 * [st.sampled_from("abcdefgh")]), min_size=1, max_size=12)


@given(texts, st.randoms(use_true_random=False))
def test_shared_values_are_counted_as_sets_would(pairs, random):
    first, second = zip(*pairs, strict=True)
    split = [random.choice(SPLITS) for _ in pairs]
    table = pd.DataFrame({"id_1": first, "id_2": second, "text_1": first, "text_2": "x", "split": split})
    seen = {}
    for *ids, name in zip(first, second, split, strict=True):
        for value in ids:
            seen.setdefault(value, set()).add(name)
    expected = sum(len(names) > 1 for names in seen.values())
    assert shared_between_splits(table)["ids"] == expected
    assert shared_between_splits(table.astype("str"))["ids"] == expected


def test_columns_keep_their_types_and_split_is_text():
    pairs = frame(np.arange(60) % 3).astype({"id_1": "str", "text_1": object})
    splits = split_pairs(pairs, Split(), 0)
    assert splits.dtypes.to_dict() == {**pairs.dtypes.to_dict(), "split": pd.Series(dtype="str").dtype}
    assert splits.index.tolist() == list(range(60))
