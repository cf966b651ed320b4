"""Cron expressions: what crontab and Airflow take is taken, what they would refuse is refused and named."""

from datetime import UTC, datetime

import pytest

from entailment.errors import ConfigurationError
from stacks.cron import checked_cron, next_time


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "0 3 * * 1",
        "*/5 0-6,18-23/2 1,15 JAN-MAR mon",
        "59 23 31 12 7",
        "0 0 1-31/10 * SUN-SAT",
        "0 3 * * FRI-MON",
        "30-10 * * * *",
        "0 0 29 2 *",
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
        ("0 3 * * L", "the day of the week"),
        ("0 3 * * FRI#2", "the day of the week"),
        ("0 3 L * *", "the day of the month"),
        ("0 3 15W * *", "the day of the month"),
        ("0 3 ? * *", "the day of the month"),
        ("H * * * *", "the minute"),
        ("R * * * *", "the minute"),
        ("٣ * * * *", "the minute"),
        ("0 \N{FULLWIDTH DIGIT THREE} * * 1", "the hour"),
        ("0 0 30,31 2 *", "there is no such date"),
        ("0 0 31 4,6,9,11 *", "there is no such date"),
        ("5-5 * * * *", "the minute"),
        ("0\N{NO-BREAK SPACE}3 * *", "4 field(s)"),
        ("0 0 31 2 *", "there is no such date"),
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


@pytest.mark.parametrize(
    ("expression", "dates"),
    [
        ("0 3 * * 1", ["2026-01-05T03:00", "2026-01-12T03:00"]),
        ("0 3 * * FRI-MON", ["2026-01-02T03:00", "2026-01-03T03:00", "2026-01-04T03:00", "2026-01-05T03:00"]),
        ("30 22-1 * * *", ["2026-01-01T22:30", "2026-01-01T23:30", "2026-01-02T00:30", "2026-01-02T01:30"]),
        ("0 0 29 2 *", ["2028-02-29T00:00"]),
        # Both days given: either will do, as in crontab.
        ("0 0 13 * FRI", ["2026-01-02T00:00", "2026-01-09T00:00", "2026-01-13T00:00", "2026-01-16T00:00"]),
    ],
)
def test_the_next_times(expression, dates):
    moment, found = datetime(2026, 1, 1, 12, 30, tzinfo=UTC), []
    for _ in dates:
        moment = next_time(checked_cron(expression), moment)
        found.append(moment)
    assert [f"{moment:%Y-%m-%dT%H:%M}" for moment in found] == dates
    assert all(moment.tzinfo is UTC for moment in found)


def test_a_date_that_never_comes_has_no_next_time():
    assert next_time("0 0 31 2 *", datetime(2026, 1, 1, tzinfo=UTC)) is None
