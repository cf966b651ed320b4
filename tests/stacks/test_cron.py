"""Cron expressions: what Airflow takes is taken, what it would refuse is refused and named."""

import pytest

from entailment.errors import ConfigurationError
from stacks.cron import checked_cron


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "0 3 * * 1",
        "*/5 0-6,18-23/2 1,15 JAN-MAR mon",
        "59 23 31 12 7",
        "0 0 1-31/10 * SUN-SAT",
    ],
)
def test_right_expressions_are_kept(expression):
    assert checked_cron(expression) == expression


def test_spaces_are_made_single():
    assert checked_cron("  0   3 * *  1 ") == "0 3 * * 1"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "0 field(s)"),
        ("0 3 * *", "4 field(s)"),
        ("0 0 3 * * 1", "6 field(s)"),
        ("@weekly", "1 field(s)"),
        ("60 3 * * 1", "the minute must be *, a value from 0 to 59"),
        ("0 24 * * 1", "the hour"),
        ("0 3 0 * *", "the day of the month"),
        ("0 3 * 13 *", "the month"),
        ("0 3 * MON *", "the month"),
        ("0 3 * * 8", "the day of the week"),
        ("0 3 * * FRI-MON", "the day of the week"),
        ("30-10 * * * *", "the minute"),
        ("*/0 * * * *", "the minute"),
        ("*/60 * * * *", "the minute"),
        ("1,,2 * * * *", "the minute"),
        ("1.5 * * * *", "the minute"),
        ("a * * * *", "the minute"),
        ("-1 * * * *", "the minute"),
        ("* * * * *; rm", "6 field(s)"),
    ],
)
def test_wrong_expressions_are_named(expression, words):
    with pytest.raises(ConfigurationError) as refused:
        checked_cron(expression)
    assert words in str(refused.value)
    assert refused.value.exit_code == 2
