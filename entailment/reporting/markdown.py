"""Tables as Markdown and as JSON."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table with a final line end; what would end a cell is escaped.

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
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
