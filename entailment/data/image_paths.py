"""From a pair's ids to its image files, each with a status; nothing is decoded that need not be."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from entailment.configuration.images import MAX_DECODED_BYTES
from entailment.data.images import checksums_fit, decoding_faults, read_header
from entailment.errors import DataError, ImageError
from entailment.task import ID, IMAGE_FILE, IMAGE_PATH, IMAGE_REASON, IMAGE_STATUS, IMAGE_URL, SIDES

if TYPE_CHECKING:
    import pandas as pd

OK: Final = "ok"
MISSING: Final = "missing"
UNREADABLE: Final = "unreadable"
NO_FOLDER: Final = "no --images folder given"
NO_FILE: Final = "no file of this id in the --images folder"
NOT_ADDED: Final = "no image of this id was added to the data set"
_ROWS_AT_ONCE: Final = 8192
"""Rows whose files are looked at together: what is held of a file beyond the table is held for so many."""
_REPORTED: Final = 20
_NAMED_IN_ERROR: Final = 5
_PROBES_AT_ONCE: Final = 8
_DECODED_AT_ONCE: Final = 64
EXTENSIONS: Final = ("jpg", "jpeg", "png", "gif", "bmp", "webp", "tif", "tiff", "avif")
"""Of files that may be images; what they are their content says."""


@dataclass(frozen=True)
class ImageProblem:
    """One image that cannot be used; `row` counts data rows from 1."""

    row: int
    column: str
    id: str
    file: str
    """The file's name, `<id>.*` where there is none."""
    reason: str

    def __str__(self) -> str:
        """One line for a log or an error."""
        return f"row {self.row}, {self.column} ({self.file}): {self.reason}"


@dataclass(frozen=True)
class ImageReport:
    """What became of the images of a table of pairs."""

    rows: int
    """Rows before any were dropped."""
    rows_dropped: int
    counts: dict[str, dict[str, int]]
    """Column `image_1` or `image_2` -> status -> images, over all rows."""
    problems: tuple[ImageProblem, ...]
    """The first 20, by row."""

    @property
    def usable(self) -> int:
        """How many images are ok, both sides together."""
        return sum(by_status[OK] for by_status in self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            **asdict(self),
            "problems": [asdict(problem) for problem in self.problems],
            "usable": self.usable,
        }


def resolve_image_paths(
    pairs: "pd.DataFrame",
    folder: Path | None,
    *,
    missing: Literal["mask", "drop", "error"],
    max_pixels: int,
    max_decoded_bytes: int = MAX_DECODED_BYTES,
) -> "tuple[pd.DataFrame, ImageReport]":
    """Adds for each side the image's path (absolute, or ""), its status, and the reason where it is not ok.

    The file is `<folder>/<id>.<extension>` with the extension of the image's URL, else one of that id under
    another extension, else one without; where `pairs` has the columns IMAGE_FILE, the one that they name. Without a
    folder every image is missing. `missing` says what an image that is not ok does: "mask" keeps its row, "drop"
    removes it, "error" stops. Both limits are those of `decode_images`.

    Raises:
        DataError: there is a folder, and an id, or a name in IMAGE_FILE, is not fit for a file in it.
        ImageError: the folder cannot be listed; "error" and an image is not ok; "drop" and no row is left.
    """
    limits = (max_pixels, max_decoded_bytes)
    resolved = pairs.assign(**(_image_columns(pairs, folder, limits) if folder else _NO_IMAGES))
    problems = tuple(islice(image_problems(resolved), _REPORTED))
    counts = {IMAGE_URL[side]: _status_counts(resolved[IMAGE_STATUS[side]]) for side in range(len(SIDES))}
    if missing == "error" and problems:
        raise ImageError(_refusal(problems, counts))
    if missing == "drop":
        resolved = _without_faulty_rows(resolved, problems)
    return resolved, ImageReport(len(pairs), len(pairs) - len(resolved), counts, problems)


def check_folder(images: Path) -> None:
    """Raises DataError where `--images` is no folder."""
    if not images.is_dir():
        found = f"{images} is a file, no folder" if images.exists() else f"There is no folder {images}"
        raise DataError(
            f"{found}. --images must be the folder of the <id>.<ext> files; unpack an archive of them."
        )


def folder_fingerprint(folder: Path | None) -> str:
    """Hexadecimal SHA-256 over the folder's place and each file's name, size and mtime; "" for None.

    Only files directly in the folder count. Raises ImageError where it cannot be listed.
    """
    if folder is None:
        return ""
    digest = hashlib.sha256(os.fsencode(folder.resolve()))
    for name in _files_in(folder):
        try:
            stat = (folder / name).stat()
        except FileNotFoundError:
            continue
        digest.update(os.fsencode(name) + f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# ---- from ids to names of files


def _refuse_unsafe(pairs: "pd.DataFrame", column: str) -> None:
    ids = pairs[column]
    unsafe = ids.isna() | ids.isin(["", ".", ".."]) | ids.str.contains(r"[/\\\x00]", regex=True, na=False)
    if unsafe.any():
        row = int(unsafe.to_numpy().argmax())
        raise DataError(
            f"row {unsafe.index[row] + 1}, column {column}: {ids.iloc[row]!r} cannot name an image file. It must not"
            " be empty, '.' or '..', nor contain '/', '\\' or a NUL character. Correct it and run again."
        )


def _files_in(folder: Path) -> list[str]:
    """The names of the regular files directly in a folder, in order."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        raise ImageError(
            f"The folder of images {folder} cannot be listed: {error.strerror}. Name one that can be with --images."
        ) from None


def file_finder(pairs: "pd.DataFrame", folder: Path) -> Callable[[str, object], str]:
    """What gives the name of the file in `folder` that belongs to an id and its image's URL, "" where there is none.

    Raises as `resolve_image_paths`.
    """
    if not set(IMAGE_FILE) <= set(pairs.columns):
        for column in ID:
            _refuse_unsafe(pairs, column)
        return _Listing(_files_in(folder)).find
    stored: dict[str, str] = {}
    for side in range(len(SIDES)):
        given = pairs.loc[pairs[IMAGE_FILE[side]] != "", [ID[side], IMAGE_FILE[side]]]
        _refuse_unsafe(given, IMAGE_FILE[side])
        stored |= dict(zip(given[ID[side]].tolist(), given[IMAGE_FILE[side]].tolist(), strict=True))
    return lambda image_id, _url: stored.get(image_id, "")


class _Listing:
    """The names in a folder, found again by id."""

    def __init__(self, names: Iterable[str]) -> None:
        # From what comes before the last dot to the endings with it: few are distinct, each is held once.
        self._endings: dict[str, tuple[str, ...]] = {}
        seen: dict[tuple[str, ...], tuple[str, ...]] = {}
        for name in filter(_is_text, names):
            stem, dot, extension = name.rpartition(".")
            stem, ending = (stem, dot + extension) if dot else (name, "")
            endings = (*self._endings.get(stem, ()), ending)
            self._endings[stem] = seen.setdefault(endings, endings)

    def find(self, image_id: str, url: object) -> str:
        """The name of the image's file, "" where there is none."""
        endings = self._endings.get(image_id, ())
        if len(endings) > 1:
            wanted = url_extension(url)
            names = [image_id + ending for ending in endings]
            return min(names, key=lambda name: _unlikeliness(name, image_id, wanted))
        if endings:
            return image_id + endings[0]
        stem, dot, extension = image_id.rpartition(".")
        return image_id if dot and dot + extension in self._endings.get(stem, ()) else ""


def _is_text(name: str) -> bool:
    """Whether a name is valid Unicode, as no id from a table can fail to be."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unlikeliness(name: str, image_id: str, wanted: str) -> tuple[bool, bool, bool, bool, str]:
    extension = name[len(image_id) + 1 :]
    lower, wanted_lower = extension.lower(), wanted.lower()
    same = lower.replace("jpeg", "jpg") == wanted_lower.replace("jpeg", "jpg")
    return extension != wanted, lower != wanted_lower, not same, lower not in EXTENSIONS, name


def url_extension(url: object) -> str:
    """Extension in a URL's path without the dot, else the `format` in its query (Twitter's way), else ""."""
    if not isinstance(url, str):
        return ""
    path, _, query = url.partition("#")[0].partition("?")
    extension = re.search(r"\.([^./\\]*)\Z", path.rpartition("/")[2])
    said = extension or re.search(r"(?:\A|&)format=([A-Za-z0-9]+)", query)
    return said[1] if said else ""


# ---- from files to statuses


def _file_faults(
    folder: Path, names: set[str], pool: ThreadPoolExecutor, limits: tuple[int, int]
) -> dict[str, str]:
    """Why each file cannot be read as an image, "" where it can."""
    ordered = sorted(names)
    probed = pool.map(lambda name: _probe(folder / name, limits), ordered)
    faults = dict(zip(ordered, probed, strict=True))
    doubtful = [name for name, fault in faults.items() if fault is None]
    for start in range(0, len(doubtful), _DECODED_AT_ONCE):
        chunk = doubtful[start : start + _DECODED_AT_ONCE]
        faults.update(zip(chunk, _decoding_faults(folder, chunk, limits), strict=True))
    return {name: fault or "" for name, fault in faults.items()}


def _probe(path: Path, limits: tuple[int, int]) -> str | None:
    """The fault that the header shows, "" if start and end are sound, None if only decoding can tell."""
    try:
        with path.open("rb") as stream:
            kind = read_header(stream, *limits).kind
            if kind == "JPEG":
                stream.seek(-2, os.SEEK_END)
                return "" if stream.read() == b"\xff\xd9" else None
            sound = kind == "WEBP" or (kind == "PNG" and checksums_fit(stream, limits[0]))
            return "" if sound else None  # the header of a WebP is read only where the file is whole
    except ImageError as fault:
        return str(fault)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _decoding_faults(folder: Path, names: Sequence[str], limits: tuple[int, int]) -> list[str]:
    data, unread = [], {}
    for name in names:
        try:
            data.append((folder / name).read_bytes())
        except OSError as error:
            data.append(b"")
            unread[name] = f"cannot be read: {error.strerror}"
    reasons = decoding_faults(data, *limits)
    return [unread.get(name, reason) for name, reason in zip(names, reasons, strict=True)]


# ---- columns, report and policy


_NO_IMAGES: Final = (
    dict.fromkeys(IMAGE_PATH, "")
    | dict.fromkeys(IMAGE_STATUS, MISSING)
    | dict.fromkeys(IMAGE_REASON, NO_FOLDER)
)
"""The columns of every row where there is no folder."""


def _image_columns(pairs: "pd.DataFrame", folder: Path, limits: tuple[int, int]) -> dict[str, Any]:
    import pandas as pd

    find, parts = file_finder(pairs, folder), []
    absent = NOT_ADDED if set(IMAGE_FILE) <= set(pairs.columns) else NO_FILE
    with ThreadPoolExecutor(_PROBES_AT_ONCE) as pool:
        for start in range(0, len(pairs) or 1, _ROWS_AT_ONCE):
            rows = pairs.iloc[start : start + _ROWS_AT_ONCE]
            names = [
                list(map(find, rows[ID[side]].tolist(), rows[IMAGE_URL[side]].tolist()))
                for side in range(len(SIDES))
            ]
            faults = _file_faults(folder, {*names[0], *names[1]} - {""}, pool, limits)
            columns: dict[str, Any] = {}
            for side, names_of_side in enumerate(names):
                columns |= _side_columns(side, names_of_side, folder.resolve(), faults, absent)
            parts.append(pd.DataFrame(columns))
    whole = pd.concat(parts)
    return {name: whole[name].array for name in columns}


def _side_columns(
    side: int, names: list[str], folder: Path, faults: dict[str, str], absent: str
) -> dict[str, Any]:
    statuses = {name: UNREADABLE if fault else OK for name, fault in faults.items()}
    paths = {name: str(folder / name) for name in faults}
    columns = {
        IMAGE_PATH[side]: [paths.get(name, "") for name in names],
        IMAGE_STATUS[side]: [statuses.get(name, MISSING) for name in names],
        IMAGE_REASON[side]: [faults.get(name, absent) for name in names],
    }
    return {column: _text_array(values) for column, values in columns.items()}


def _text_array(values: list[str]) -> Any:
    import pandas as pd

    return pd.array(values, dtype="str")  # also of no values, whose type pandas cannot guess


def _status_counts(statuses: "pd.Series[str]") -> dict[str, int]:
    counts = statuses.value_counts()
    return {status: int(counts.get(status, 0)) for status in (OK, MISSING, UNREADABLE)}


def image_problems(resolved: "pd.DataFrame") -> Iterator[ImageProblem]:
    """The images that are not ok, by row and side."""
    faulty = [(resolved[column] != OK).to_numpy() for column in IMAGE_STATUS]
    for row in (faulty[0] | faulty[1]).nonzero()[0]:
        for side in range(len(SIDES)):
            if faulty[side][row]:
                image_id, path, reason = (
                    resolved[names[side]].iloc[row] for names in (ID, IMAGE_PATH, IMAGE_REASON)
                )
                yield ImageProblem(
                    int(row) + 1, IMAGE_URL[side], image_id, Path(path).name or f"{image_id}.*", reason
                )


def _refusal(problems: Sequence[ImageProblem], counts: dict[str, dict[str, int]]) -> str:
    faulty = sum(number for side in counts.values() for status, number in side.items() if status != OK)
    first = "; ".join(str(problem) for problem in problems[:_NAMED_IN_ERROR])
    more = "; ..." if faulty > _NAMED_IN_ERROR else ""
    return (
        f"{faulty} images cannot be used: {first}{more}. Put them right, or let such rows be kept without the"
        " image (--missing-images mask) or left out (--missing-images drop)."
    )


def _without_faulty_rows(resolved: "pd.DataFrame", problems: Sequence[ImageProblem]) -> "pd.DataFrame":
    whole = (resolved[IMAGE_STATUS[0]] == OK) & (resolved[IMAGE_STATUS[1]] == OK)
    if len(resolved) and not whole.any():
        first = "; ".join(str(problem) for problem in problems[:_NAMED_IN_ERROR])
        raise ImageError(
            f"No row has two usable images, so --missing-images drop leaves none of {len(resolved)}: {first}."
            " Give their folder with --images, or choose --missing-images mask."
        )
    return resolved[whole].reset_index(drop=True)
