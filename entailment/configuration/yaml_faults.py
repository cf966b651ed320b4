"""What is said of a text that is no YAML: the place, and what is wrong, in one line."""

import re
from typing import Final

import yaml

_KINDS: Final = (
    (r"quoted scalar.*end of stream", "the quotation mark is not closed", True),
    (r"flow (sequence|mapping)", "the bracket is not closed, or a comma is missing in it", True),
    (r"stream end", "the text ends too early: a value or a bracket is not complete", False),
    (r"simple key", "a key without a colon and a blank behind it", True),
    (r"'\\t'", "a tab where only blanks may be: indent with blanks", False),
    (
        r"mapping values",
        "a colon inside a value: put the value in quotes, or indent the line as those around it",
        False,
    ),
    (r"block end.*(start>|'\?'|'-')", "the line is indented unlike those around it", False),
    (r"block end", "text behind the end of a value: put the whole value in quotes", False),
    (r"cannot start|undefined alias|for the tag", "a value that begins with this must be in quotes", False),
    (r"unknown escape", "no such escape: write the value in single quotes, or \\ twice", False),
    (r"another document", "a second document begins: a file holds one", False),
)
"""What PyYAML says, what a person is told, and whether it is found where the thing begins, not where it ends."""


def yaml_fault(error: yaml.YAMLError | ValueError | RecursionError, text: str) -> str:
    """What is wrong with `text`, which PyYAML has refused: `line 3, column 5: the quotation mark is not closed`.

    The text itself is not shown: there may be a secret in it.
    """
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: a character that YAML does not know (number {error.character})"
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or an alias stands for what it is in"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"a value looks like a date or a number and is none ({error}): put it in quotes"
    said = f"{error.context}: {error.problem}"
    for pattern, words, begins in _KINDS:
        if re.search(pattern, said):
            return f"{_place(error.context_mark if begins else error.problem_mark)}: {words}"
    return f"{_place(error.problem_mark)}: {error.problem}"


def _place(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
