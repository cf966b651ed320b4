"""Adding rows and images to a data set of our own: an addition makes a new version and changes none (`versions.py`).

What a killed addition left behind is in no version, and the next one clears it away.
"""

import csv
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.configuration.images import MAX_DECODED_BYTES
from entailment.configuration.task import Task
from entailment.data.image_paths import (
    MISSING,
    OK,
    UNREADABLE,
    ImageProblem,
    check_folder,
    image_problems,
    resolve_image_paths,
)
from entailment.data.images import decoding_faults
from entailment.data.merging import Conflict, HeldRows, merge
from entailment.data.pairs import ColumnRule, content_hash, read_pairs
from entailment.data.versions import (
    COLUMNS,
    IMAGES,
    NAME,
    PART,
    PROBLEMS_FILE,
    fetch_versions,
    number_of,
    opened_log,
    read_csv,
    read_table,
    share_versions,
    table_name,
    write_log,
)
from entailment.errors import ConfigurationError, DataError
from entailment.files import locked, sha256_of_file, spreadsheet_csv, written_aside
from entailment.shared_store import SharedStore
from entailment.task import ID, IMAGE_FILE, IMAGE_PATH, IMAGE_SHA256, IMAGE_STATUS, columns_of

if TYPE_CHECKING:
    import pandas as pd

_TAKEN: Final = re.compile(r"sample(-.*)?|tweets", re.IGNORECASE)
_CONFLICTS_LOGGED: Final = 100
_CONFLICTS_SHOWN: Final = 20
_PROBLEMS_LOGGED: Final = 20
_PROBLEMS_SHOWN: Final = 5


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
    """Rows that were there already, under the same ids or with the same content, and brought no image; skipped."""
    rows_updated: int
    """Rows of the version before that have an image now, or another one."""
    conflicts: int
    conflicting: tuple[Conflict, ...]
    """The first 100."""
    images_added: int
    images_held: int
    """Images of these rows, given or not, that the data set had before."""
    images_missing: int
    """Those that are neither given nor held."""
    images_unreadable: int
    image_problems: tuple[ImageProblem, ...]
    """The first 20 images that are missing or unreadable; none where no folder of images was given."""
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

    Rows that are there already are skipped, unless they bring an image that the data set lacks, has lost or cannot
    decode: all rows with that id have it from then on. Rows that contradict what is there (another label, text or
    image) are not added and come back as conflicts. An image that is missing or unreadable does not keep its row out.
    Without a new row or image there is no new version. Two processes that add at the same time wait for each other.
    `further` is as in `read_pairs`. With a store the new version is `shared` with all machines, or refused there,
    before it counts here.

    Raises:
        ConfigurationError: `name` is not fit for a data set.
        DataError: the file is not as `read_pairs` wants it, or file or images changed while they were read.
        ImageError: the folder of images cannot be listed.
        StoreError: the shared store cannot be used.
    """
    check_name(name)
    digest = sha256_of_file(file) if file.is_file() else ""
    # What `merge` does with rows of the same ids is another thing.
    pairs = read_pairs(file, task, max_text_bytes=max_text_bytes, further=further, repeats=False)
    if sha256_of_file(file) != digest:
        raise DataError(f"{file} changed while it was read. Nothing was added: run the command again.")
    if images:
        check_folder(images)
    limits = {"max_pixels": max_pixels, "max_decoded_bytes": max_decoded_bytes}
    resolved, _ = resolve_image_paths(pairs, images, missing="mask", **limits)
    given = _Given(
        file=file.name,
        sha256=digest,
        rows=_with_hashes(resolved),
        with_folder=images is not None,
    )
    fetch_versions(shared, folder, name)
    with locked(folder / f"{name}.lock", f"Another addition to {name} is going on: waiting for its end."):
        return _add(given, folder / name, further or (), limits, shared)


@dataclass(frozen=True)
class _Given:
    """What is to be added."""

    file: str
    sha256: str
    rows: "pd.DataFrame"
    """With path, status, reason, name and SHA-256 of each image."""
    with_folder: bool
    """Whether a folder of images was given."""


def _add(
    given: _Given,
    place: Path,
    further: Iterable[str],
    limits: Mapping[str, int],
    shared: SharedStore | None,
) -> Addition:
    """Adds to the data set in `place`, which is locked. What makes it count, the log, is written last."""
    log = opened_log(place)
    current = number_of(log)
    table = read_table(place, current)
    known = [column for kind in further for column in columns_of(kind) if column in given.rows.columns]
    held = HeldRows(
        table.to_dict("records"),
        tuple(name for name in dict.fromkeys([*table.columns, *known]) if name not in COLUMNS),
        cache(lambda name, digest: _is_lost(place / IMAGES / name, digest)),
        lambda name: decoding_faults([(place / IMAGES / name).read_bytes()], **limits) != [""],
    )
    rows, images_held = _with_held_images(given.rows, held)
    problems = tuple(image_problems(rows)) if given.with_folder else ()
    unusable = rows[[*IMAGE_STATUS]].to_numpy()
    merged = merge(held, given.rows)
    _copy_images(merged.files, place / IMAGES)
    if merged.added or held.updated:
        current += 1
        _write_version(place, current, held)
    _write_problems(problems, place / PROBLEMS_FILE)
    addition = Addition(
        version=current,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        file=given.file,
        sha256=given.sha256,
        rows=len(given.rows),
        rows_added=merged.added,
        duplicates=merged.duplicates,
        rows_updated=len(held.updated),
        conflicts=len(merged.conflicts),
        conflicting=tuple(merged.conflicts[:_CONFLICTS_LOGGED]),
        images_added=len(merged.files),
        images_held=images_held,
        images_missing=int((unusable == MISSING).sum()),
        images_unreadable=int((unusable == UNREADABLE).sum()),
        image_problems=problems[:_PROBLEMS_LOGGED],
        total=len(held.rows),
    )
    log = [*log, asdict(addition)]
    if shared:
        share_versions(shared, place, log)
    write_log(place, log)
    return addition


def _with_held_images(rows: "pd.DataFrame", held: HeldRows) -> "tuple[pd.DataFrame, int]":
    """The rows, in which a missing image counts as usable that the data set has; and how many images it has."""
    columns, count = {}, 0
    for side in range(2):
        ids, statuses, digests = (rows[names[side]].tolist() for names in (ID, IMAGE_STATUS, IMAGE_SHA256))
        there = [
            status != UNREADABLE and held.has_image(image_id, digest)
            for image_id, status, digest in zip(ids, statuses, digests, strict=True)
        ]
        columns[IMAGE_STATUS[side]] = [
            OK if has else status for has, status in zip(there, statuses, strict=True)
        ]
        count += sum(there)
    return rows.assign(**columns), count


def addition_summary(addition: Addition, folder: Path, name: str) -> str:
    """What an addition to the data set `name` below `folder` brought, in a few lines."""
    there = f"{addition.images_held} there already, " if addition.images_held else ""
    lines = [
        f"Added     {addition.rows_added} of {addition.rows} rows to {name}: version {addition.version},"
        f" {addition.total} pairs",
        f"Skipped   {addition.duplicates} that were there already",
        f"Images    {addition.images_added} new, {there}{addition.images_missing} missing,"
        f" {addition.images_unreadable} unreadable",
    ]
    if addition.rows_updated:
        lines.append(
            f"Updated   {addition.rows_updated} rows that were there have an image that they had not"
        )
    lines += [f"Not used  {problem}" for problem in addition.image_problems[:_PROBLEMS_SHOWN]]
    if addition.image_problems:
        unused = addition.images_missing + addition.images_unreadable
        more = f"and {unused - _PROBLEMS_SHOWN} more; " if unused > _PROBLEMS_SHOWN else ""
        lines.append(f"          {more}all of them: {folder / name / PROBLEMS_FILE}")
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


def _is_lost(path: Path, digest: str) -> bool:
    return not path.is_file() or sha256_of_file(path) != digest


def _with_hashes(resolved: "pd.DataFrame") -> "pd.DataFrame":
    """Adds the SHA-256 of each usable image, which is its name in the data set too."""
    digests: dict[str, str] = {"": ""}
    columns: dict[str, list[str]] = {}
    for side in range(2):
        paths, statuses = resolved[IMAGE_PATH[side]].tolist(), resolved[IMAGE_STATUS[side]].tolist()
        usable = [path if status == OK else "" for path, status in zip(paths, statuses, strict=True)]
        digests |= {path: sha256_of_file(Path(path)) for path in set(usable) - set(digests)}
        columns[IMAGE_FILE[side]] = columns[IMAGE_SHA256[side]] = [digests[path] for path in usable]
    return resolved.assign(**columns)


def _copy_images(files: Mapping[str, str], folder: Path) -> None:
    """Copies images, by their SHA-256, whole or not at all. Raises DataError when one is not what it was."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / PART
    for digest, path in files.items():
        shutil.copyfile(path, part)
        if sha256_of_file(part) != digest:
            part.unlink()
            raise DataError(f"{path} changed while it was added. Nothing was added: run the command again.")
        part.replace(folder / digest)


def _write_version(place: Path, number: int, held: HeldRows) -> None:
    """Writes the table of a version and checks that it reads back."""
    import pandas as pd

    table = pd.DataFrame(held.rows, columns=list(held.columns), dtype="str")
    with written_aside(place / table_name(number)) as aside:
        table.to_csv(aside, index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
        if content_hash(read_csv(aside)) != content_hash(table):
            raise DataError(
                "A text holds characters that a CSV file does not keep. Nothing was added: remove"
                " them and run the command again."
            )


def _write_problems(problems: Sequence[ImageProblem], path: Path) -> None:
    import pandas as pd

    if not problems:
        path.unlink(missing_ok=True)
        return
    with written_aside(path) as aside:
        aside.write_text(spreadsheet_csv(pd.DataFrame(map(asdict, problems))), encoding="utf-8", newline="")
