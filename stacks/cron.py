"""Cron expressions: five fields, as in crontab(5); times are UTC. Airflow reads them with croniter too."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from croniter import CroniterBadDateError, croniter

from entailment.errors import ConfigurationError

_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_VALUE: Final = "[0-9]+|[A-Za-z]{3}"
_PART: Final = re.compile(rf"(?:\*|({_VALUE})(?:-(?!\1\b)(?:{_VALUE}))?)(?:/(?P<step>[0-9]+))?")
"""What crontab knows: croniter knows more (L, W, #, ?, H, R), and takes the range `5-5` for every value."""


def checked_cron(expression: str) -> str:
    """The expression with single spaces.

    Each field is `*`, a number or name, a range `a-b`, each with a step `/n`, or a list of these.

    Raises:
        ConfigurationError: not five fields, a field that is out of its range, named, or a date that never comes.
    """
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise ConfigurationError(
            "--cron must be five fields: minute, hour, day of the month, month, day of the week, as in"
            f' "0 3 * * 1" (Mondays at 03:00 UTC). Received: {expression!r}, {len(fields)} field(s).'
        )
    for place, (text, (name, lowest, highest)) in enumerate(zip(fields, _FIELDS, strict=True)):
        parts = [_PART.fullmatch(part) for part in text.split(",")]
        known = all(part and int(part["step"] or 1) <= highest for part in parts)
        if not known or not croniter.is_valid(" ".join([*"*" * place, text, *"*" * (4 - place)])):
            raise ConfigurationError(
                f"--cron: the {name} must be *, a value from {lowest} to {highest}, a range a-b, */n, or a list of"
                f" these. Received: {text!r} in {expression!r}."
            )
    cron = " ".join(fields)
    if next_time(cron, datetime.now(UTC)) is None:
        raise ConfigurationError(f"--cron: there is no such date. Received: {cron!r}.")
    return cron


def next_time(cron: str, after: datetime) -> datetime | None:
    """The first time after another that a checked expression names; None when there is none."""
    with suppress(CroniterBadDateError):
        return croniter(cron, after).get_next(datetime)
    return None
