"""Text for a person's terminal: its width, and lines folded to it between words."""

import os
import re
import textwrap
from typing import IO, Any, Final

_LABEL: Final = re.compile(r" *(?:\S+(?: \S+)? {2,})?")
"""What a line may begin with, and under which its other lines do not stand: `Split     `."""


def width_of(stream: IO[Any]) -> int | None:
    """Characters in a line of the terminal that `stream` is; None where it is none, or does not say."""
    return (os.get_terminal_size(stream.fileno()).columns or None) if stream.isatty() else None


def folded(text: str, width: int | None) -> str:
    """The text in lines of at most `width` characters, broken at blanks alone; as it is where there is no width.

    Example:
        folded("Split     train 48, test 20", 20) == "Split     train 48,\\n          test 20"
    """
    return text if width is None else "\n".join(_fold(line, width) for line in text.split("\n"))


def _fold(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    label = _LABEL.match(line)
    indent = " " * (label.end() if label else 0)
    fold = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": indent}
    return textwrap.fill(line, width, **fold)  # type: ignore[arg-type]
