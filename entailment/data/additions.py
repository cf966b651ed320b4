"""Adding rows to a data set of our own: each addition makes a new version and changes none (`versions.py`).

What a killed addition left behind is in no version, and the next one clears it away.
"""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.configuration.images import MAX_DECODED_BYTES
from entailment.configuration.task import Task
from entailment.data.image_paths import MISSING, OK, UNREADABLE, resolve_image_paths
from entailment.data.pairs import ColumnRule, content_hash, read_pairs
from entailment.data.versions import (
    COLUMNS,
    FORMAT,
    IMAGE_FILE,
    IMAGE_SHA256,
    LOG_FILE,
    NAME,
    fetch_versions,
    number_of,
    read_csv,
    read_log,
    read_table,
    share_versions,
    table_name,
)
from entailment.errors import ConfigurationError, DataError
from entailment.files import locked, sha256_of_file, write_json, written_aside
from entailment.shared_store import SharedStore
from entailment.task import ID, IMAGE_PATH, IMAGE_STATUS, LABEL, TEXT, columns_of

if TYPE_CHECKING:
    import pandas as pd

_TAKEN: Final = re.compile(r"sample(-.*)?|tweets", re.IGNORECASE)
_CONFLICTS_LOGGED: Final = 100
_CONFLICTS_SHOWN: Final = 20


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


@dataclass(frozen=True)
class Addition:
    """What an addition brought; the log holds one such entry for each."""

    version: int
    """The current version after it."""
    at: str
    file: str
    sha256: str
    """Of the file's bytes."""
    rows: int
    rows_added: int
    duplicates: int
    """Rows that were there already, under the same ids or with the same content; skipped."""
    conflicts: int
    conflicting: tuple[Conflict, ...]
    """The first 100."""
    images_added: int
    images_missing: int
    images_unreadable: int
    total: int
    """Pairs of the version."""


def add_pairs(
    file: Path,
    images: Path | None,
    folder: Path,
    name: str,
    task: Task,
    *,
    max_text_bytes: int,
    max_pixels: int,
    max_decoded_bytes: int = MAX_DECODED_BYTES,
    further: Mapping[str, ColumnRule] | None = None,
    shared: SharedStore | None = None,
) -> Addition:
    """Adds the rows of a CSV file, and their images, to the data set `name` below `folder`; made when absent.

    Rows that are there already are skipped; rows that contradict what is there (another label, text or image) are
    not added and come back as conflicts. An image that is missing or unreadable does not keep its row out. Without a
    new row there is no new version. Two processes that add at the same time wait for each other. `further` is as in
    `read_pairs`. With a store the new version is `shared` with all machines, or refused there, before it counts here.

    Raises:
        ConfigurationError: `name` is not fit for a data set.
        DataError: the file is not as `read_pairs` wants it, or changed while it was read.
        ImageError: the folder of images cannot be listed.
        StoreError: the shared store cannot be used.
    """
    check_name(name)
    place = folder / name
    digest = sha256_of_file(file) if file.is_file() else ""
    pairs = read_pairs(file, task, max_text_bytes=max_text_bytes, further=further)
    if images and not images.is_dir():
        raise DataError(f"There is no folder {images}. --images must be the folder of the <id>.<ext> files.")
    resolved, report = resolve_image_paths(
        pairs, images, missing="mask", max_pixels=max_pixels, max_decoded_bytes=max_decoded_bytes
    )
    fetch_versions(shared, folder, name)
    with locked(folder / f"{name}.lock", f"Another addition to {name} is going on: waiting for its end."):
        log = read_log(place)
        current = number_of(log)
        held = read_table(place, current)
        _clear_leftovers(place, held)
        sorted_out = _sort_out(held, _with_hashes(resolved), further or ())
        copied = _copy_images(sorted_out.files, place / "images")
        if sorted_out.accepted:
            current += 1
            held = _write_version(place, current, held, sorted_out.accepted)
        addition = Addition(
            version=current,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            file=file.name,
            sha256=digest,
            rows=len(pairs),
            rows_added=len(sorted_out.accepted),
            duplicates=sorted_out.duplicates,
            conflicts=len(sorted_out.conflicts),
            conflicting=tuple(sorted_out.conflicts[:_CONFLICTS_LOGGED]),
            images_added=copied,
            images_missing=sum(side[MISSING] for side in report.counts.values()),
            images_unreadable=sum(side[UNREADABLE] for side in report.counts.values()),
            total=len(held),
        )
        log = [*log, asdict(addition)]
        if shared:
            share_versions(shared, place, log)
        write_json(place / LOG_FILE, {"format": FORMAT, "additions": log})
    return addition


def addition_summary(name: str, addition: Addition) -> str:
    """What an addition to the data set `name` brought, in a few lines."""
    lines = [
        f"Added     {addition.rows_added} of {addition.rows} rows to {name}: version {addition.version},"
        f" {addition.total} pairs",
        f"Skipped   {addition.duplicates} that were there already",
        f"Images    {addition.images_added} new, {addition.images_missing} missing,"
        f" {addition.images_unreadable} unreadable",
    ]
    if addition.conflicts:
        lines.append(f"CONFLICTS {addition.conflicts} rows contradict what is there and were not added:")
        lines += [f"          {conflict}" for conflict in addition.conflicting[:_CONFLICTS_SHOWN]]
    if addition.conflicts > _CONFLICTS_SHOWN:
        lines.append("          ... --json names the first 100")
    return "\n".join(lines)


def check_name(name: str) -> None:
    """Raises ConfigurationError unless `name` can be that of a data set of our own."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"--to must be a name of letters, digits, '-' and '_', at most 64, not a path. Received: {name!r}"
        )
    if _TAKEN.fullmatch(name):
        raise ConfigurationError(f"--to: '{name}' is a name of this project's own data. Choose another one.")


@dataclass
class _SortedOut:
    """What is to be done with each row of an addition."""

    accepted: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By name in the data set: the path of a new image and its SHA-256."""
    duplicates: int = 0
    conflicts: list[Conflict] = field(default_factory=list)


class _Held:
    """What a data set holds, found by ids, by content and by image."""

    def __init__(self, rows: list[dict[str, str]], further: Sequence[str]) -> None:
        """`further` are the columns of kinds of input beside text and image."""
        self._said = (*TEXT, *further)
        self._content = (*self._said, *IMAGE_SHA256)
        self.pairs: dict[tuple[str, ...], dict[str, str]] = {}
        self.contents: dict[tuple[str, ...], dict[str, str]] = {}
        self.images: dict[str, tuple[str, str]] = {}
        for row in rows:
            self.take(row)

    def take(self, row: dict[str, str]) -> None:
        self.pairs[_values(row, ID)] = row
        self.contents.setdefault(_values(row, self._content), row)
        for side in range(2):
            if row[IMAGE_SHA256[side]]:
                self.images.setdefault(row[ID[side]], (row[IMAGE_FILE[side]], row[IMAGE_SHA256[side]]))

    def difference(self, row: dict[str, str]) -> tuple[str, str, str, dict[str, str]] | None:
        """What of `row` contradicts what is held: its column, both values, and the row that holds the other."""
        if same := self.pairs.get(_values(row, ID)):
            for column in (LABEL, *self._said):
                # A further input that a table lacks contradicts none.
                if row[column] != same[column] and (row[column] or column in TEXT):
                    return column, same[column], row[column], same
        for side in range(2):
            given, held = row[IMAGE_SHA256[side]], self.images.get(row[ID[side]], ("", ""))[1]
            if given and held and given != held:
                return f"image_{side + 1}", held, given, row
        twin = self.contents.get(_values(row, self._content))
        if twin and twin[LABEL] != row[LABEL]:
            return LABEL, twin[LABEL], row[LABEL], twin
        return None

    def has(self, row: dict[str, str]) -> bool:
        """Whether the pair, or its content under other ids, is there."""
        return _values(row, ID) in self.pairs or _values(row, self._content) in self.contents


def _sort_out(held_table: "pd.DataFrame", new: "pd.DataFrame", further_kinds: Iterable[str]) -> _SortedOut:
    """Decides row by row; a row counts as held for the rows after it."""
    known = [column for kind in further_kinds for column in columns_of(kind) if column in new.columns]
    further = [name for name in dict.fromkeys([*held_table.columns, *known]) if name not in COLUMNS]
    names = (*COLUMNS, *further)
    rows = [{name: row.get(name, "") for name in names} for row in held_table.to_dict("records")]
    held, result = _Held(rows, further), _SortedOut()
    for number, given in enumerate(new.to_dict("records"), start=1):
        row = {name: given.get(name, "") for name in names}
        _take_known_images(row, held)
        if found := held.difference(row):
            what, had, gave, other = found
            conflict = Conflict(number, _pair(row), what, had, gave, _pair(other))
            result.conflicts.append(conflict)
        elif held.has(row):
            result.duplicates += 1
        else:
            result.accepted.append(row)
            for side in range(2):
                if row[IMAGE_SHA256[side]] and row[ID[side]] not in held.images:
                    path = given[IMAGE_PATH[side]]
                    result.files[row[IMAGE_FILE[side]]] = path, row[IMAGE_SHA256[side]]
            held.take(row)
    return result


def _take_known_images(row: dict[str, str], held: _Held) -> None:
    """A row without an image has the one that its id has elsewhere: that is how images are found, by id.

    The same image under another extension is stored once.
    """
    for side in range(2):
        file, digest = held.images.get(row[ID[side]], ("", ""))
        if digest and row[IMAGE_SHA256[side]] in ("", digest):
            row[IMAGE_FILE[side]], row[IMAGE_SHA256[side]] = file, digest


def _with_hashes(resolved: "pd.DataFrame") -> "pd.DataFrame":
    """Adds name and SHA-256 of each usable image."""
    digests: dict[str, str] = {}
    columns: dict[str, list[str]] = {}
    for side in range(2):
        paths, statuses = resolved[IMAGE_PATH[side]].tolist(), resolved[IMAGE_STATUS[side]].tolist()
        usable = [path if status == OK else "" for path, status in zip(paths, statuses, strict=True)]
        digests |= {path: sha256_of_file(Path(path)) for path in set(usable) - {""} - set(digests)}
        columns[IMAGE_FILE[side]] = [Path(path).name for path in usable]
        columns[IMAGE_SHA256[side]] = [digests.get(path, "") for path in usable]
    return resolved.assign(**columns)


def _copy_images(files: Mapping[str, tuple[str, str]], folder: Path) -> int:
    """Copies images whole or not at all. Raises DataError when one is not what it was a moment ago."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".part"
    for name, (path, digest) in files.items():
        shutil.copyfile(path, part)
        if sha256_of_file(part) != digest:
            part.unlink()
            raise DataError(f"{path} changed while it was added. Nothing was added: run the command again.")
        part.replace(folder / name)
    return len(files)


def _clear_leftovers(place: Path, held: "pd.DataFrame") -> None:
    """Removes images that no row has: an addition was killed before its version was logged."""
    if not (place / "images").is_dir():
        return
    known = {name for column in IMAGE_FILE for name in held[column].tolist()}
    for path in (place / "images").iterdir():
        if path.name not in known:
            path.unlink()


def _write_version(
    place: Path, number: int, held: "pd.DataFrame", accepted: list[dict[str, str]]
) -> "pd.DataFrame":
    """Writes the table of a version, checks that it reads back, and gives it."""
    import csv

    import pandas as pd

    table = pd.concat([held, pd.DataFrame(accepted, dtype="str")], ignore_index=True).fillna("")
    with written_aside(place / table_name(number)) as aside:
        table.to_csv(aside, index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
        if content_hash(read_csv(aside)) != content_hash(table):
            raise DataError(
                "A text holds characters that a CSV file does not keep (such as NUL). Nothing was added: remove"
                " them and run the command again."
            )
    return table


def _values(row: Mapping[str, str], columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(row[name] for name in columns)


def _pair(row: Mapping[str, str]) -> tuple[str, str]:
    return row[ID[0]], row[ID[1]]
