"""The table of trials: what any of them changed, the best first for reading."""

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import with_values
from entailment.reporting.search_page import changes, tuning_markdown, tuning_table
from entailment.trials.search import Trial

START = Configuration()
TRIALS = [
    Trial(0, "complete", START, 0.5),
    Trial(1, "complete", with_values(START, {"head.dropout": 0.25}), 0.625),
    Trial(2, "failed", with_values(START, {"training.loss": "focal"}), error="the loss | is inf"),
]


def test_only_keys_that_some_trial_changed_are_columns():
    table = tuning_table(TRIALS, START)
    expected = ["trial", "state", "validation_macro_f1", "error", "head.dropout", "training.loss"]
    assert table.columns.tolist() == expected
    assert table["head.dropout"].tolist() == [0.1, 0.25, 0.1]


def test_the_best_is_read_first_and_failures_last():
    lines = tuning_markdown(tuning_table(TRIALS, START)).splitlines()
    assert lines[2].startswith("| 1 | complete | 0.625 |") and lines[4].startswith("| 2 | failed |  |")


def test_changes_name_before_and_now():
    assert changes(TRIALS[1].configuration, START) == ["head.dropout: 0.1 -> 0.25"]
    assert changes(START, START) == []
