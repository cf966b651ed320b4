"""Tables as the command line prints them."""

from collections.abc import Iterable, Sequence
from typing import Final

_GAP: Final = 2
"""Blanks between columns."""
_ENDLESS: Final = 1_000_000_000
"""Characters a line may have where there is no width: more than any has, so that nothing is cut."""


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """Lines of plain text; a head `>name` is of a right-aligned column.

    Where a terminal has a `width`, columns for which there is no room follow below, behind the first column again,
    and a text that even so is too long is folded.
    """
    from rich.cells import cell_len

    cells = [
        [head.removeprefix(">") for head in heads],
        *([*row, *[""] * (len(heads) - len(row))] for row in rows),
    ]
    lengths = [max(cell_len(row[column]) for row in cells) for column in range(len(heads))]
    room = width or _ENDLESS
    blocks = []
    for columns in _side_by_side(lengths, room):
        foldable = [lengths[columns[0]] + _GAP + lengths[column] > room for column in columns]
        chosen = [[row[column] for column in columns] for row in cells[1:]]
        blocks.append(_block([heads[column] for column in columns], chosen, foldable, room))
    return "\n\n".join(blocks)


def _side_by_side(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Which columns stand side by side, the first one in each block."""
    blocks, used = [[0]], lengths[0]
    for column in range(1, len(lengths)):
        if len(blocks[-1]) > 1 and used + _GAP + lengths[column] > room:
            blocks.append([0])
            used = lengths[0]
        blocks[-1].append(column)
        used += _GAP + lengths[column]
    return blocks


def _block(heads: Sequence[str], rows: Sequence[Sequence[str]], foldable: Sequence[bool], room: int) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for number, (head, folds) in enumerate(zip(heads, foldable, strict=True)):
        justify = "right" if head.startswith(">") else "left"
        table.add_column(head.removeprefix(">"), justify=justify, no_wrap=number == 0 or not folds)
    for row in rows:
        table.add_row(*row)
    console = Console(width=room, color_system=None, force_terminal=False, markup=False, emoji=False)
    with console.capture() as lines:
        console.print(table)
    return "\n".join(line.rstrip() for line in lines.get().splitlines())
