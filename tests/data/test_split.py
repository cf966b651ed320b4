"""The split: equal to the two scikit-learn calls, stable under growth, honest about leaks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from entailment.configuration.split import Split
from entailment.data.split import (
    FOLD_COLUMN,
    UNDIVIDED,
    fold_pairs,
    fold_rows,
    leak_warning,
    shared_between_splits,
    split_pairs,
    split_report,
)
from entailment.errors import DataError
from entailment.task import LABELS, SPLITS


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
    counts = split_report(split_pairs(pairs, Split(), 42), LABELS)["counts"]
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
    for labels, config, words in (
        ([0] + [1, 2] * 30, Split(), r"\(Contradictory 1, .*Contradictory has one row, which cannot be"),
        (
            [0, 1, 2] * 5,
            Split(),
            r"test_fraction=0\.1 makes 2 of 15 rows test rows.* 3 classes; .*at least 0\.2",
        ),
        ([0, 1, 2] * 5, Split(test_fraction=0.9), r"leaves fewer than the 3 classes; it must be smaller"),
        ([0, 1, 2] * 10, Split(), r"validation_fraction=0\.05 makes 2 of 27 rows.*must be at least 0\.12"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            split_pairs(frame(np.array(labels)), config, 0)
        assert "are too few to split by label: " in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=40), st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.95]))
def test_what_scikit_learn_would_refuse_is_refused_before(labels, fraction):
    config = Split(test_fraction=fraction, validation_fraction=fraction)
    try:
        rest, _ = train_test_split(labels, test_size=fraction, random_state=0, stratify=labels)
        train_test_split(rest, test_size=fraction, random_state=0, stratify=rest)
    except ValueError:
        with pytest.raises(DataError, match="too few to split by label"):
            split_pairs(frame(np.array(labels)), config, 0)
    else:
        split_pairs(frame(np.array(labels)), config, 0)


def test_a_split_that_would_be_empty_is_named():
    with pytest.raises(DataError, match="split would be empty"):
        split_pairs(frame(np.arange(3)), Split(method="hash", test_fraction=0.01), 0)


def test_leaks_are_counted_warned_of_and_stopped():
    pairs = frame(np.arange(300) % 3)
    clean = split_pairs(pairs, Split(), 0)
    assert shared_between_splits(clean) == {"ids": 0, "texts": 0}
    assert leak_warning(split_report(clean, LABELS)) is None
    leaky = split_pairs(pairs.assign(text_1="the same"), Split(), 0)
    assert shared_between_splits(leaky) == {"ids": 0, "texts": 1}
    assert "LEAK" in leak_warning(split_report(leaky, LABELS))
    with pytest.raises(DataError, match=r"share 1 texts \(split.on_leak is error\)"):
        split_pairs(pairs.assign(text_1="the same"), Split(on_leak="error"), 0)


def test_texts_that_are_not_there_are_no_leak():
    pairs = frame(np.arange(60) % 3).assign(text_1="", text_2="")
    splits = split_pairs(pairs, Split(on_leak="error"), 0)
    assert leak_warning(split_report(splits, LABELS)) is None
    fold_pairs(pairs, Split(on_leak="error"), 5, 7)
    one = splits.assign(text_2=["the same"] * 59 + [""])
    assert shared_between_splits(one) == {"ids": 0, "texts": 1}


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


@settings(max_examples=15, deadline=None)
@given(st.integers(60, 200), st.integers(0, 1000), st.integers(2, 6))
def test_every_row_is_judged_once_by_rows_that_are_not_it(n, seed, folds):
    labels = np.random.default_rng(seed).permutation(np.arange(n) % 3)
    made = fold_rows(labels, folds, seed, 0.25)
    assert sorted(np.concatenate([rows.test for rows in made])) == list(range(n))
    for rows in made:
        parts = np.concatenate([rows.train, rows.validation, rows.test])
        assert sorted(parts) == list(range(n))
        counts = np.bincount(labels[rows.test], minlength=3)
        assert counts.max() - counts.min() <= 2
        assert len(rows.validation) == int(np.ceil(0.25 * (n - len(rows.test))))


def test_folds_are_those_of_scikit_learn_in_file_order():
    from sklearn.model_selection import StratifiedKFold

    labels = np.random.default_rng(0).choice(3, 90, p=[0.2, 0.2, 0.6])
    expected = StratifiedKFold(4, shuffle=True, random_state=9).split(labels, labels)
    for rows, (rest, test) in zip(fold_rows(labels, 4, 9, 0.1), expected, strict=True):
        assert (rows.test == test).all()
        train, validation = train_test_split(rest, test_size=0.1, random_state=9, stratify=labels[rest])
        assert (rows.train == np.sort(train)).all() and (rows.validation == np.sort(validation)).all()
    assert any(
        (a.test != b.test).any() for a, b in zip(*(fold_rows(labels, 3, s) for s in (1, 2)), strict=True)
    )


def test_for_a_search_the_fold_itself_is_the_validation():
    for rows in fold_rows(np.arange(30) % 3, 3, 0):
        assert (rows.validation == rows.test).all()
        assert not set(rows.train) & set(rows.test)


@pytest.mark.parametrize(
    ("labels", "folds", "without_test", "message"),
    [
        (
            [0] * 3 + [1, 2] * 40,
            5,
            False,
            r"The rows \(Contradictory 3, Implies 40, NoEntailment 40\) are too few for 5 folds: every class needs 5,"
            r" and Contradictory has 3\. The largest number that works is 3: give --folds 3, or add rows\.",
        ),
        (
            [0] * 3 + [1, 2] * 40,
            4,
            True,
            r"The rows outside the test split \(Contradictory 3, .* give --folds 3",
        ),
        (
            [0, 0] + [1, 2] * 30,
            2,
            False,
            r"Contradictory has one row, which cannot be in both parts\. No number",
        ),
        ([0, 1, 2], 5, False, "every class needs 5, and Contradictory has 1"),
        (
            [0, 1, 2] * 5,
            5,
            False,
            r"validation_fraction=0\.05 makes 1 of 12 rows.* at least 0\.25\. No number .*=0\.05: raise it, or",
        ),
    ],
)
def test_too_few_rows_of_a_class_for_the_folds_are_explained(labels, folds, without_test, message):
    with pytest.raises(DataError, match=message):
        fold_pairs(frame(np.array(labels)), Split(), folds, 0, without_test=without_test)


def test_pairs_with_their_folds_stay_in_file_order():
    pairs = frame(np.arange(60) % 3)
    folded = fold_pairs(pairs, Split(), 5, 7)
    assert folded["id_1"].tolist() == pairs["id_1"].tolist()
    assert set(folded["split"]) == {UNDIVIDED}
    for number, rows in enumerate(fold_rows(pairs["label_index"].to_numpy(), 5, 7), 1):
        assert np.flatnonzero(folded["fold"] == str(number)).tolist() == rows.test.tolist()
    report = split_report(folded, LABELS, FOLD_COLUMN)
    assert report["counts"] == {str(n): dict.fromkeys(LABELS, 4) for n in range(1, 6)}
    assert report["shared"] == {"ids": 0, "texts": 0}


def test_a_larger_share_gives_a_fold_its_validation_rows():
    assert len(fold_pairs(frame(np.arange(15) % 3), Split(validation_fraction=0.3), 5, 7)) == 15


def test_pairs_shared_between_folds_are_a_leak():
    pairs = frame(np.arange(60) % 3).assign(text_1="the same")
    assert "LEAK" in leak_warning(split_report(fold_pairs(pairs, Split(), 5, 7), LABELS, FOLD_COLUMN))
    with pytest.raises(DataError, match="The folds share 1 texts"):
        fold_pairs(pairs, Split(on_leak="error"), 5, 7)


@pytest.mark.parametrize("method", ["stratified", "hash"])
def test_a_search_s_pairs_hold_no_row_of_the_test_split(method):
    pairs, config = frame(np.arange(300) % 3), Split(method=method, test_fraction=0.2)
    splits, folded = split_pairs(pairs, config, 3), fold_pairs(pairs, config, 4, 3, without_test=True)
    assert sorted(folded["id_1"]) == sorted(ids(splits, "train") + ids(splits, "validation"))
    assert folded["id_1"].tolist() == [name for name in pairs["id_1"] if name in set(folded["id_1"])]
