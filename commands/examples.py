"""How examples, and the exit codes, stand below the help of a command."""

import re
from typing import Final

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed, 2 wrong use, 3 nothing new (retrain --check), 130 interrupted."
)
_COLUMNS: Final = 78
"""That a line of help may have, as click counts them."""


def examples(*lines: str, title: str = "Examples") -> str:
    """A paragraph of `python run_pipeline.py LINE`; the mark at its top keeps click from wrapping it.

    What stands in a line behind two blanks or more is a remark; where one is too long they all get a line each.
    """
    called = [f"  python run_pipeline.py {line}".rstrip() for line in lines]
    if any(len(line) > _COLUMNS for line in called):
        called = [re.sub(r"(?<=\S) {2,}(?=\S)", "\n      ", line) for line in called]
    return "\n".join(["\b", f"{title}:", *called])


def epilog(*lines: str) -> str:
    """What stands below the help of one command: its examples and the exit codes."""
    return f"{examples(*lines)}\n\n{EXIT_CODES}"
