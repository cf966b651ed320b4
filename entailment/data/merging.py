"""Merging rows into those that a data set holds: what is new, what is there already, what contradicts it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from entailment.data.versions import COLUMNS
from entailment.task import ID, IMAGE_FILE, IMAGE_PATH, IMAGE_SHA256, LABEL, TEXT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Conflict:
    """A row that was not added, because what it says differs from what the data set holds."""

    row: int
    """Of the file that was to be added, counted from 1."""
    pair: tuple[str, str]
    what: str
    """`label`, or the column of an input: `text_1`, `image_2`."""
    held: str
    """What the data set holds: a label, a text, or the SHA-256 of an image."""
    given: str
    """What the row says."""
    of: tuple[str, str]
    """The pair that holds it: the same ids, or, for a label, the same texts and images under other ids."""

    def __str__(self) -> str:
        """One line for people."""
        where = "" if self.of == self.pair or self.what != LABEL else f" (same content as {self.of})"
        return f"row {self.row} {self.pair}, {self.what}: held {self.held[:40]!r}{where}, given {self.given[:40]!r}"


@dataclass
class Merged:
    """What became of the rows of an addition."""

    added: int = 0
    files: dict[str, str] = field(default_factory=dict)
    """By SHA-256, which is its name in the data set, the path of a new image."""
    duplicates: int = 0
    conflicts: list[Conflict] = field(default_factory=list)


class HeldRows:
    """The rows of a data set, found by ids, by content and by image."""

    def __init__(
        self,
        rows: Sequence[Mapping[Any, str]],
        further: tuple[str, ...],
        is_lost: Callable[[str, str], bool],
        is_undecodable: Callable[[str], bool],
    ) -> None:
        """`further` are the columns of kinds of input beside text and image.

        Of a stored image `is_lost` says, by name and SHA-256, whether it is not there, and `is_undecodable`, by name.
        """
        self.columns = (*COLUMNS, *further)
        self.rows: list[dict[str, str]] = []
        self.updated: set[int] = set()
        """Rows, of those that were there, whose image is another one now."""
        self._said = (*TEXT, *further)
        self._content = (*self._said, *IMAGE_SHA256)
        self._is_lost, self._is_undecodable = is_lost, is_undecodable
        self._pairs: dict[tuple[str, ...], dict[str, str]] = {}
        self._contents: dict[tuple[str, ...], dict[str, str]] = {}
        self._images: dict[str, tuple[str, str]] = {}
        self._images_taken: set[str] = set()
        """Ids whose image is a new one."""
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """By id: the rows, and the sides of them, that have it."""
        for row in rows:
            for side in _sides_with_image(row):
                self._images.setdefault(row[ID[side]], (row[IMAGE_FILE[side]], row[IMAGE_SHA256[side]]))
        for row in rows:
            self.take(self.whole(row))
        self._before = len(rows)

    def whole(self, given: Mapping[Any, str]) -> dict[str, str]:
        """A row with all columns; where it has no image, with the one that its id has in other rows."""
        row = {name: given.get(name, "") for name in self.columns}
        for side in range(2):
            file, digest = self._images.get(row[ID[side]], ("", ""))
            if digest and row[IMAGE_SHA256[side]] in ("", digest):
                row[IMAGE_FILE[side]], row[IMAGE_SHA256[side]] = file, digest
        return row

    def take(self, row: dict[str, str]) -> None:
        """Adds a row."""
        self._pairs[_values(row, ID)] = row
        self._contents.setdefault(_values(row, self._content), row)
        for side in range(2):
            self._places[row[ID[side]]].append((len(self.rows), side))
        self.rows.append(row)

    def take_image(self, image_id: str, file: str, digest: str) -> None:
        """Gives every row with that id this image."""
        self._images[image_id] = file, digest
        self._images_taken.add(image_id)
        for number, side in self._places[image_id]:
            row = self.rows[number]
            if number < self._before and row[IMAGE_FILE[side]] != file:
                self.updated.add(number)
            before = _values(row, self._content)
            if self._contents.get(before) is row:
                del self._contents[before]
            row[IMAGE_FILE[side]], row[IMAGE_SHA256[side]] = file, digest
            self._contents.setdefault(_values(row, self._content), row)

    def new_images(self, row: dict[str, str]) -> list[int]:
        """The sides of a row whose image is not the one of its id here, or that one is lost."""
        return [
            side
            for side in _sides_with_image(row)
            if row[IMAGE_SHA256[side]] != self._images.get(row[ID[side]], ("", ""))[1]
            or self._is_gone(row[ID[side]])
        ]

    def has_image(self, image_id: str, digest: str = "") -> bool:
        """Whether an image of that id is there, not lost, and, if a SHA-256 is given, this one."""
        _, held = self._images.get(image_id, ("", ""))
        return bool(held) and digest in ("", held) and not self._is_gone(image_id)

    def difference(self, row: dict[str, str]) -> tuple[str, str, str, dict[str, str]] | None:
        """What of `row` contradicts what is held: its column, both values, and the row that holds the other."""
        if same := self._pairs.get(_values(row, ID)):
            for column in (LABEL, *self._said):
                # A further input that a table lacks contradicts none.
                if row[column] != same[column] and (row[column] or column in TEXT):
                    return column, same[column], row[column], same
        first, second = _values(row, IMAGE_SHA256)
        if row[ID[0]] == row[ID[1]] and first and second and first != second:
            return "image_2", first, second, row
        for side in self.new_images(row):
            image_id, given = row[ID[side]], row[IMAGE_SHA256[side]]
            file, held = self._images.get(image_id, ("", ""))
            if held in ("", given) or self._is_gone(image_id):
                continue
            if image_id in self._images_taken or not self._is_undecodable(file):
                return f"image_{side + 1}", held, given, row
        twin = self._contents.get(_values(row, self._content))
        if twin and twin[LABEL] != row[LABEL]:
            return LABEL, twin[LABEL], row[LABEL], twin
        return None

    def _is_gone(self, image_id: str) -> bool:
        return image_id not in self._images_taken and self._is_lost(*self._images[image_id])

    def has_pair(self, row: dict[str, str]) -> bool:
        """Whether the two ids are there."""
        return _values(row, ID) in self._pairs

    def has_content(self, row: dict[str, str]) -> bool:
        """Whether the row's content is there, under whatever ids."""
        return _values(row, self._content) in self._contents


def merge(held: HeldRows, new: "pd.DataFrame") -> Merged:
    """Decides row by row, and has `held` take what is new; a row counts as held for the rows after it.

    `new` has the columns of `read_pairs`, IMAGE_PATH, IMAGE_FILE and IMAGE_SHA256, the last two alike.
    """
    result = Merged()
    for number, given in enumerate(new.to_dict("records"), start=1):
        row = held.whole(given)
        if found := held.difference(row):
            what, had, gave, other = found
            result.conflicts.append(Conflict(number, _pair(row), what, had, gave, _pair(other)))
            continue
        images = [side for side in held.new_images(row) if given[IMAGE_SHA256[side]]]
        if not held.has_pair(row) and not held.has_content(row):
            held.take(row)
            result.added += 1
        elif not images or not held.has_pair(row):
            result.duplicates += 1
            continue
        for side in images:
            digest = row[IMAGE_SHA256[side]]
            result.files[digest] = given[IMAGE_PATH[side]]
            held.take_image(row[ID[side]], digest, digest)
    return result


def _sides_with_image(row: Mapping[Any, str]) -> list[int]:
    return [side for side in range(2) if row[IMAGE_SHA256[side]]]


def _values(row: Mapping[str, str], columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(row[name] for name in columns)


def _pair(row: Mapping[str, str]) -> tuple[str, str]:
    return row[ID[0]], row[ID[1]]
