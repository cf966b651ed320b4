"""What the trained sample model must be able to do at least: its test rows, and each kind of pair by itself."""

import pytest

from entailment.statistics.confusion import macro_f1
from entailment.task import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MARGIN = 0.15
"""Of 40 pairs six: what another machine's rounding may cost."""


def test_the_test_rows_are_answered_well(sample_model):
    answers = sample_model.answers
    true, predicted = (table["label"].map(LABELS.index).to_numpy() for table in (sample_model.test, answers))
    assert macro_f1(true, predicted, 3) >= 0.85  # 0.96


@pytest.mark.parametrize(
    ("label", "relation", "shown", "measured"),
    [
        ("Implies", "agree", "plain", 0.8),
        ("Implies", "silent", "confirmed", 0.925),
        ("Contradictory", "agree", "elsewhere", 0.925),
        ("Contradictory", "oppose", "plain", 0.875),
        ("Contradictory", "silent", "refuted", 0.95),
        ("NoEntailment", "pass", "plain", 1.0),
        ("NoEntailment", "pass", "elsewhere", 1.0),
        ("NoEntailment", "silent", "plain", 1.0),
        ("NoEntailment", "silent", "elsewhere", 1.0),
    ],
)
def test_every_kind_of_pair_is_about_as_often_right_as_when_it_was_measured(
    answers_to_made, label, relation, shown, measured
):
    assert (answers_to_made(relation, shown)["label"] == label).mean() >= measured - MARGIN
