"""Tables as the command line prints them."""

from collections.abc import Iterable, Sequence
from typing import Final

_WIDTH: Final = 1_000_000_000
"""Characters a line may have: more than any has, so that nothing is cut."""


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of plain text, the same in a terminal and in a file; a head `>name` is of a right-aligned column."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in heads:
        justify = "right" if head.startswith(">") else "left"
        table.add_column(head.removeprefix(">"), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=_WIDTH, color_system=None, force_terminal=False, markup=False, emoji=False)
    with console.capture() as lines:
        console.print(table)
    return "\n".join(line.rstrip() for line in lines.get().splitlines())
