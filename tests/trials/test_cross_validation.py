"""The summary of a cross-validation: folds, mean and deviation, pooled answers; failed folds are not counted."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import f1_score

from entailment.reporting.cross_validation_page import cross_validation_figure, cross_validation_markdown
from entailment.task import LABELS
from entailment.trials.cross_validation import (
    FoldAnswers,
    cross_validation,
    fold_figures,
)

OPTIONS = {"bootstrap_samples": 50, "confidence": 0.9, "seed": 1}


def answers(seed, rows=60):
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    probabilities = random.dirichlet([1, 1, 1], rows)
    probabilities[np.arange(rows), labels] += 0.5
    return FoldAnswers(labels, (probabilities / 1.5).astype(np.float32), (10, 20, 30))


FOLDS = {number: answers(number, 60 + 3 * number) for number in (1, 2, 3)}


def macro_f1(fold):
    return f1_score(fold.labels, fold.probabilities.argmax(axis=1), average="macro")


def test_mean_deviation_and_pooled_are_what_they_say():
    summary = cross_validation(FOLDS, LABELS, **OPTIONS)
    each = [macro_f1(fold) for fold in FOLDS.values()]
    assert [summary.folds[n]["macro_f1"] for n in FOLDS] == pytest.approx(each)
    assert summary.mean["macro_f1"] == pytest.approx(np.mean(each))
    assert summary.std["macro_f1"] == pytest.approx(np.std(each, ddof=1))
    labels, predicted = (
        np.concatenate(part)
        for part in zip(*((f.labels, f.probabilities.argmax(axis=1)) for f in FOLDS.values()), strict=True)
    )
    assert summary.pooled["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert summary.confusion.sum() == len(labels)
    assert summary.pooled["macro_f1_low"] < summary.pooled["macro_f1"] < summary.pooled["macro_f1_high"]
    assert summary.mean["baseline/majority_accuracy"] == pytest.approx(1 / 3)


def test_the_baseline_is_the_training_rows_majority():
    skewed = FoldAnswers(np.array([0, 0, 1]), np.eye(3, dtype=np.float32), (1, 5, 2))
    figures = cross_validation({1: skewed}, LABELS, **OPTIONS).folds[1]
    assert figures["baseline/majority_accuracy"] == pytest.approx(1 / 3)


def test_words_alone_stand_beside_each_fold_and_all_answers_where_every_fold_has_them():
    with_words = {number: replace(fold, words=fold.labels) for number, fold in FOLDS.items()}
    summary = cross_validation(with_words, LABELS, **OPTIONS)
    for figures in (*summary.folds.values(), summary.pooled):
        assert figures["baseline/words_macro_f1"] == 1
        difference, low, high = (figures[f"baseline/words_difference{end}"] for end in ("", "_low", "_high"))
        assert difference == pytest.approx(figures["macro_f1"] - 1) and low <= difference <= high < 0
    assert summary.mean["baseline/words_accuracy"] == 1
    table = summary.table.set_index("fold")
    assert (table["baseline/words_macro_f1"].drop("std") == 1).all()
    assert table["baseline/words_difference_high"]["pooled"] < 0
    partly = cross_validation(with_words | {2: FOLDS[2]}, LABELS, **OPTIONS)
    assert "baseline/words_macro_f1" in partly.folds[1]
    assert not any("words" in name for name in (*partly.folds[2], *partly.mean, *partly.pooled))


def test_the_table_has_a_row_for_each_fold_and_three_below():
    table = cross_validation(FOLDS, LABELS, **OPTIONS).table
    assert table["fold"].tolist() == ["1", "2", "3", "mean", "std", "pooled"]
    assert table["rows"].fillna(-1).tolist() == [63, 66, 69, -1, -1, 198]
    given = [name for name in fold_figures(LABELS) if "words" not in name]
    assert table[given].notna().all(axis=None) and table["baseline/words_macro_f1"].isna().all()
    text = cross_validation_markdown(table, LABELS, 0.9)
    assert "| pooled | 198 |" in text and "90% interval" in text and "F1 Implies" in text
    assert isinstance(cross_validation_figure(table, 0.9), Figure)


def test_a_failed_fold_is_told_and_left_out():
    summary = cross_validation({**FOLDS, 2: "the loss is inf"}, LABELS, **OPTIONS)
    assert summary.folds[2] == "the loss is inf"
    assert summary.mean["macro_f1"] == pytest.approx(np.mean([macro_f1(FOLDS[1]), macro_f1(FOLDS[3])]))
    assert summary.table.set_index("fold").loc["2", "error"] == "the loss is inf"
    assert "failed: the loss is inf" in cross_validation_markdown(summary.table, LABELS, 0.9)
    assert isinstance(cross_validation_figure(summary.table, 0.9), Figure)


def test_where_every_fold_failed_there_are_no_figures():
    summary = cross_validation({1: "no", 2: "no"}, LABELS, **OPTIONS)
    assert (summary.mean, summary.std, summary.pooled) == ({}, {}, {})
    assert summary.confusion.tolist() == [[0] * len(LABELS)] * len(LABELS)
    assert isinstance(cross_validation_figure(summary.table, 0.9), Figure)
    assert "failed: no" in cross_validation_markdown(summary.table, LABELS, 0.9)
