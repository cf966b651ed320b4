"""Texts and tables as Markdown, tables as JSON."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

_SIGNS: Final = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")
_MARKED: Final = re.compile(r"`[^`]*`|\*\*\w+\*\*")
"""A cell that is code or a bold word: nothing in it is a sign."""


def plain(text: str) -> str:
    """A text that Markdown shows as it is, on one line: no sign, no link, no HTML of it counts.

    >>> plain("<b> in snake_case")
    '&lt;b&gt; in snake_case'
    """
    return _SIGNS.sub(r"\\\g<0>", html.escape(" ".join(text.split()), quote=False))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table with a final line end; cells are `plain`, but for one that is code or bold as a whole.

    Raises ValueError on a row that is not as long as `columns`.
    """
    lines = [_line(columns), _line(["---"] * len(columns))]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row must have {len(columns)} cells. Received: {len(row)}")
        lines.append(_line(row))
    return "\n".join(lines) + "\n"


def table_records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as dictionaries, ready for JSON: None where there is no figure."""
    records: list[dict[str, Any]] = [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
    return records


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    marked = _MARKED.fullmatch(" ".join(text.split()))
    return marked[0].replace("|", "\\|") if marked else plain(text)
