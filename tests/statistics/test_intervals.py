"""Intervals hold what they are about as often as they say, and are honest where there are few rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.coverage import measured
from entailment.statistics import intervals
from entailment.statistics.confusion import confusion_counts, macro_f1, scores
from entailment.statistics.intervals import class_intervals, macro_f1_interval, paired_differences
from entailment.statistics.wilson import wilson

OPTIONS = {"bootstrap_samples": 500, "confidence": 0.95, "seed": 42}
answers = st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40).map(np.array)


def imbalanced(rows, seed=0, models=1):
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, rows, p=[0.08, 0.08, 0.84])
    right = generator.random((models, rows)) < 0.7
    return labels, np.where(right, labels, generator.integers(0, 3, (models, rows)))


@pytest.mark.parametrize(("signal", "counts"), [("weak", "drawn"), ("strong", "fixed")])
def test_few_rows_are_covered(signal, counts):
    result = measured((("7.8/7.8/84.4", signal, counts, 63), 250))
    for figure in ("macro_f1", "difference", "accuracy"):
        assert result["now"][figure][0] >= 0.93
    for figure in ("f1", "recall", "precision"):
        assert result["now"][figure][0].min() >= 0.88
    if (signal, counts) == ("weak", "drawn"):
        assert result["plain"]["macro_f1"][0] < 0.88 and result["plain"]["recall"][0].min() < 0.85


def test_many_rows_are_not_covered_by_wide_intervals():
    result = measured((("7.8/7.8/84.4", "weak", "drawn", 1000), 100))
    for figure in ("macro_f1", "difference"):
        assert result["now"][figure][1] < 1.08 * result["plain"][figure][1]


@settings(deadline=None, max_examples=50)
@given(answers)
def test_every_interval_holds_the_figure_and_lies_where_figures_lie(rows):
    labels, first, second = rows.T
    options = OPTIONS | {"bootstrap_samples": 20}
    low, high = macro_f1_interval(labels, first[None], 3, **options)
    assert 0 <= low <= macro_f1(labels, first, 3) <= high <= 1
    counts = confusion_counts(labels, first, 3)
    for name, ends in class_intervals(counts, 0.9).items():
        assert (ends[0] >= 0).all() and (ends[0] <= scores(counts)[name] + 1e-12).all()
        assert (scores(counts)[name] <= ends[1] + 1e-12).all() and (ends[1] <= 1).all()
    for difference, low, high in paired_differences(labels, first[None], second[None], 3, **options).values():
        assert np.all((low >= -1) & (low <= difference) & (difference <= high) & (high <= 1))


def test_a_share_has_wilson_s_interval():
    # The example of Brown, Cai and DasGupta, Interval estimation for a binomial proportion, 2001.
    np.testing.assert_allclose(wilson(0, 10, 0.95), (0, 0.2775), atol=1e-4)
    np.testing.assert_allclose(wilson(8, 10, 0.95), (0.4902, 0.9433), atol=1e-4)
    assert wilson([10, 0], [10, 0], 0.95)[1].tolist() == [1, 1] and wilson(0, 0, 0.95)[0] == 0


def test_the_f1_of_a_class_has_the_interval_of_its_share_of_right_answers():
    counts = np.array([[6, 2, 2], [1, 3, 1], [0, 5, 80]])
    low, high = class_intervals(counts, 0.95)["f1"]
    # 6 right among the 10 rows of the class and the 1 other that was answered with it.
    ends = np.array(wilson(6, 11, 0.95))
    np.testing.assert_allclose((low[0], high[0]), 2 * ends / (1 + ends))


def test_what_was_not_seen_is_not_certain():
    right = np.repeat([0, 1, 2], [5, 5, 53])
    low, high = macro_f1_interval(right, right[None], 3, **OPTIONS)
    assert 0.6 < low < 0.9 and high == 1
    lacking = np.full(63, 2)
    low, high = macro_f1_interval(lacking, lacking[None], 3, **OPTIONS)
    assert low < 0.334 and high > 0.8
    assert macro_f1_interval(right[:0], right[None, :0], 3, **OPTIONS) == (0, 1)
    low, high = paired_differences(right, right[None], right[None], 3, **OPTIONS)["macro_f1"][1:]
    assert low < -0.02 and high > 0.02


def test_the_interval_narrows_with_rows_and_widens_with_confidence():
    def width(rows, confidence):
        low, high = macro_f1_interval(*imbalanced(rows), 3, **OPTIONS | {"confidence": confidence})
        return high - low

    assert width(20_000, 0.95) < 0.25 * width(200, 0.95)
    assert width(200, 0.5) < width(200, 0.9) < width(200, 0.99)


def test_the_same_rows_and_seed_give_the_same_bits_in_any_order_and_memory(monkeypatch):
    labels, predicted = imbalanced(400, models=3)
    first = macro_f1_interval(labels, predicted, 3, **OPTIONS)
    order = np.random.default_rng(1).permutation(400)
    monkeypatch.setattr(intervals, "_WEIGHTS_AT_ONCE", 300)
    assert macro_f1_interval(labels[order], predicted[:, order], 3, **OPTIONS) == first
    assert macro_f1_interval(labels, predicted, 3, **OPTIONS | {"seed": 43}) != first


def test_the_mean_over_models_varies_less_than_each():
    labels, predicted = imbalanced(200, models=5)
    low, high = macro_f1_interval(labels, predicted, 3, **OPTIONS)
    alone = macro_f1_interval(labels, predicted[:1], 3, **OPTIONS)
    assert high - low < 0.9 * (alone[1] - alone[0])
    assert macro_f1_interval(labels, predicted[[0, 0]], 3, **OPTIONS) == pytest.approx(alone)
