"""Cron expressions: five fields, as in crontab(5); times are UTC."""

import re
from typing import Final

from entailment.errors import ConfigurationError

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: Final = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_PART: Final = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def checked_cron(expression: str) -> str:
    """The expression with single spaces.

    Each field is `*`, a number or name, a range `a-b`, each with a step `/n`, or a list of these.

    Raises:
        ConfigurationError: not five fields, or a field that is out of its range, named.
    """
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise ConfigurationError(
            "--cron must be five fields: minute, hour, day of the month, month, day of the week, as in"
            f' "0 3 * * 1" (Mondays at 03:00 UTC). Received: {expression!r}, {len(fields)} field(s).'
        )
    for text, (name, lowest, highest, names) in zip(fields, _FIELDS, strict=True):
        if not all(_valid(part, lowest, highest, names) for part in text.split(",")):
            raise ConfigurationError(
                f"--cron: the {name} must be *, a value from {lowest} to {highest}, a range a-b, */n, or a list of"
                f" these. Received: {text!r} in {expression!r}."
            )
    return " ".join(fields)


def _valid(part: str, lowest: int, highest: int, names: dict[str, int]) -> bool:
    match = _PART.fullmatch(part)
    if match is None or (match["step"] is not None and not 1 <= int(match["step"]) <= highest):
        return False
    ends = [match[end] for end in ("first", "last") if match[end] is not None]
    numbers = [names.get(end.upper(), int(end) if end.isdecimal() else -1) for end in ends]
    return all(lowest <= number <= highest for number in numbers) and numbers == sorted(numbers)
