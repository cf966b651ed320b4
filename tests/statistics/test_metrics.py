import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from entailment.errors import DataError
from entailment.statistics.confusion import confusion_counts
from entailment.statistics.metrics import Metrics, classification_report, evaluate
from entailment.task import LABELS

NAMES = {
    "accuracy",
    "macro_f1",
    "macro_f1_low",
    "macro_f1_high",
    "balanced_accuracy",
    "baseline/majority_accuracy",
    "baseline/majority_macro_f1",
    "baseline/majority_difference",
    "baseline/majority_difference_low",
    "baseline/majority_difference_high",
    "f1_contradictory",
    "f1_implies",
    "f1_no_entailment",
    "accuracy_low",
    "accuracy_high",
    "ece",
    "roc_auc",
    "pr_auc",
}
RESAMPLING = {"bootstrap_samples": 500, "confidence": 0.95, "seed": 42}
OPTIONS = {"majority": 2, **RESAMPLING}
answers = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60).map(np.array)


def sure(predicted):
    """Probabilities whose largest is `predicted`."""
    return np.eye(3)[predicted] * 0.7 + 0.1


def imbalanced(rows, seed=0):
    generator = np.random.default_rng(seed)
    true = generator.choice(3, rows, p=[0.08, 0.08, 0.84])
    predicted = np.where(generator.random(rows) < 0.7, true, generator.integers(0, 3, rows))
    return true, predicted


@settings(deadline=None)
@given(answers)
def test_figures_equal_scikit_learn(pairs):
    true, predicted = pairs.T
    got = evaluate(true, sure(predicted), LABELS, **OPTIONS | {"bootstrap_samples": 20})
    f1 = f1_score(true, predicted, labels=[0, 1, 2], average=None, zero_division=0)
    assert got.macro_f1 == pytest.approx(
        f1_score(true, predicted, labels=[0, 1, 2], average="macro", zero_division=0), abs=1e-12
    )
    assert list(got.f1.values()) == pytest.approx(f1, abs=1e-12)
    assert got.accuracy == pytest.approx(accuracy_score(true, predicted), abs=1e-12)
    assert got.majority_accuracy == pytest.approx(np.mean(true == 2), abs=1e-12)
    occurring = [np.mean(predicted[true == label] == label) for label in np.unique(true)]
    assert got.balanced_accuracy == pytest.approx(np.mean(occurring), abs=1e-12)
    assert 0 <= got.macro_f1_low <= got.macro_f1_high <= 1


@settings(deadline=None)
@given(answers)
def test_report_and_counts_equal_scikit_learn(pairs):
    true, predicted = pairs.T
    counts = confusion_counts(true, predicted, 3)
    assert counts.dtype == np.int64
    assert counts.tolist() == confusion_matrix(true, predicted, labels=[0, 1, 2]).tolist()
    report = classification_report(true, sure(predicted), LABELS, 0.95)
    wanted = precision_recall_fscore_support(true, predicted, labels=[0, 1, 2], zero_division=0)
    assert list(report) == list(LABELS)
    for figures, expected in zip(report.values(), zip(*wanted, strict=True), strict=True):
        assert list(figures)[:4] == ["precision", "recall", "f1", "support"]
        assert list(figures.values())[:4] == pytest.approx(expected, abs=1e-12)
        for name in ("precision", "recall", "f1"):
            assert 0 <= figures[f"{name}_low"] <= figures[f"{name}_high"] <= 1
    assert json.loads(json.dumps(report)) == report


def test_balanced_accuracy_equals_scikit_learn_where_all_classes_occur():
    true, predicted = imbalanced(140)
    got = evaluate(true, sure(predicted), LABELS, **OPTIONS)
    assert got.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, predicted), abs=1e-12)


def test_rows_of_the_counts_are_the_true_class():
    counts = confusion_counts(np.array([0, 0, 2]), np.array([1, 1, 2]), 3)
    assert counts.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_names_are_those_of_the_contract():
    figures = evaluate(np.array([0, 1, 2]), sure([0, 1, 2]), LABELS, **OPTIONS)
    assert set(figures.as_dict()) == NAMES
    assert list(figures.as_dict())[:13] == [
        *("accuracy", "macro_f1", "macro_f1_low", "macro_f1_high", "balanced_accuracy"),
        *("baseline/majority_accuracy", "baseline/majority_macro_f1"),
        *(f"baseline/majority_difference{end}" for end in ("", "_low", "_high")),
        *("f1_contradictory", "f1_implies", "f1_no_entailment"),
    ]
    assert set(figures.as_dict("test/")) == {name if "/" in name else f"test/{name}" for name in NAMES}
    assert all(type(value) is float for value in figures.as_dict().values())


def test_answering_the_majority_is_accurate_and_worthless():
    true = np.array([0] * 11 + [1] * 11 + [2] * 118)
    figures = evaluate(true, sure(np.full(140, 2)), LABELS, **OPTIONS)
    assert figures.accuracy == figures.majority_accuracy == pytest.approx(118 / 140)
    assert figures.balanced_accuracy == pytest.approx(1 / 3)
    assert figures.macro_f1 == pytest.approx(2 * 118 / (140 + 118) / 3)


def test_majority_is_the_given_class_and_not_the_most_frequent_here():
    figures = evaluate(np.array([0, 2, 2, 2]), sure([2, 2, 2, 2]), LABELS, **OPTIONS | {"majority": 0})
    assert figures.majority_accuracy == 0.25


def test_areas_equal_scikit_learn():
    true, _ = imbalanced(300)
    probabilities = np.random.default_rng(3).dirichlet([1, 1, 2], 300) + np.eye(3)[true] * 0.3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    figures = evaluate(true, probabilities, LABELS, **OPTIONS)
    wanted = roc_auc_score(true, probabilities, multi_class="ovr", average="macro", labels=[0, 1, 2])
    assert figures.roc_auc == pytest.approx(wanted)
    wanted = average_precision_score(np.eye(3)[true], probabilities, average="macro")
    assert figures.pr_auc == pytest.approx(wanted)
    report = classification_report(true, probabilities, LABELS, 0.95)
    assert np.mean([entry["roc_auc"] for entry in report.values()]) == pytest.approx(figures.roc_auc)


def test_chance_has_no_area_above_it():
    true, _ = imbalanced(400)
    figures = evaluate(true, np.tile([0.2, 0.2, 0.6], (400, 1)), LABELS, **OPTIONS)
    assert figures.roc_auc == 0.5
    assert figures.pr_auc == pytest.approx(1 / 3)


def test_an_absent_class_is_left_out_of_the_areas_and_that_is_said(caplog):
    true = np.array([0, 0, 2, 2, 2])
    probabilities = sure([0, 2, 2, 2, 0])
    figures = evaluate(true, probabilities, LABELS, **OPTIONS)
    report = classification_report(true, probabilities, LABELS, 0.95)
    assert "leave out Implies" in caplog.text
    assert report["Implies"]["roc_auc"] is None and report["Implies"]["pr_auc"] is None
    others = [report[label]["roc_auc"] for label in ("Contradictory", "NoEntailment")]
    assert figures.roc_auc == pytest.approx(np.mean(others))
    alone = evaluate(np.array([2, 2]), sure([2, 1]), LABELS, **OPTIONS)
    assert alone.roc_auc is None and alone.pr_auc is None
    assert set(alone.as_dict()) == NAMES - {"roc_auc", "pr_auc"}


def test_same_seed_gives_the_same_bits_and_another_seed_does_not():
    true, predicted = imbalanced(140)
    first = evaluate(true, sure(predicted), LABELS, **OPTIONS)
    assert first == evaluate(true.copy(), sure(predicted), LABELS, **OPTIONS)
    assert first != evaluate(true, sure(predicted), LABELS, **OPTIONS | {"seed": 43})


def test_many_rows_cost_no_more_resampling():
    true, predicted = imbalanced(100_000)
    probabilities = sure(predicted)
    before = time.process_time()
    evaluate(true, probabilities, LABELS, **OPTIONS | {"bootstrap_samples": 2_000})
    assert time.process_time() - before < 0.5


def test_equal_probabilities_take_the_first_class():
    figures = evaluate(np.array([0, 1]), np.full((2, 3), 1 / 3, np.float32), LABELS, **OPTIONS)
    assert figures.accuracy == 0.5


@settings(max_examples=20)
@given(st.integers(0, 4), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_value_that_is_no_number_is_named_with_its_row(row, value):
    probabilities = sure([0, 1, 2, 2, 2])
    probabilities[row, 1] = value
    with pytest.raises(DataError, match=rf"1 of 5 rows \(first: row {row}, .*learning rate"):
        evaluate(np.array([0, 1, 2, 2, 2]), probabilities, LABELS, **OPTIONS)


def test_no_rows_is_an_error_that_says_so():
    with pytest.raises(DataError, match="split is empty"):
        evaluate(np.zeros(0, int), np.zeros((0, 3)), LABELS, **OPTIONS)


@pytest.mark.parametrize(
    ("true", "probabilities", "options", "message"),
    [
        (np.array([0, 1]), sure([0]), {}, r"true \(2,\), probabilities \(1, 3\)"),
        (np.array([0, 1]), np.ones((2, 2)), {}, r"3 columns.*\(2, 2\)"),
        (np.array([[0, 1]]), np.ones((1, 2, 3)), {}, r"one-dimensional|must have one row"),
        (
            np.array([0, 3]),
            sure([0, 1]),
            {},
            "true must hold class indices from 0 to 2. Received: 3 at position 1",
        ),
        (np.array([0, -1]), sure([0, 1]), {}, "Received: -1 at position 1"),
        (np.array([0.0, 1.0]), sure([0, 1]), {}, "true must hold integers.*float64"),
        (np.array([0, 1]), sure([0, 1]), {"majority": 3}, "majority must be.*3"),
        (np.array([0, 1]), sure([0, 1]), {"confidence": 95}, "confidence must lie.*95"),
        (np.array([0, 1]), sure([0, 1]), {"bootstrap_samples": 0}, "bootstrap_samples must be"),
    ],
)
def test_wrong_arguments_are_named(true, probabilities, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(true, probabilities, LABELS, **OPTIONS | options)


def test_metrics_cannot_be_changed():
    figures = Metrics(*[0.5] * 16)
    with pytest.raises(AttributeError):
        figures.accuracy = 1.0
