"""Reading and validating a table of pairs."""

import codecs
import csv
import hashlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from entailment.configuration.task import Task
from entailment.errors import DataError
from entailment.task import (
    BLANK,
    ID,
    IMAGE_FILE,
    IMAGE_SHA256,
    IMAGE_URL,
    LABEL,
    LABEL_INDEX_COLUMN,
    MULTIMODAL,
    PAIR_COLUMNS,
    TEXT,
    columns_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_SHOWN = 5
_LONGEST_SHOWN = 40
"""Characters of a value."""
_AS_UTF8 = "save it as UTF-8, in a spreadsheet as 'CSV UTF-8'"
_WIDE = f"UTF-16 or UTF-32, not UTF-8: {_AS_UTF8}"
_PACKED = "a packed file: unpack it"
_SHEET = "a spreadsheet: export it as CSV"
_OTHER_FILES = {
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet: unpack it, or export it as CSV",
    b"\xd0\xcf\x11\xe0": _SHEET,
    b"BZh": _PACKED,
    b"\xfd7zXZ": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    b"PAR1": "a Parquet file: export it as CSV",
    b"{": "JSON, not CSV: export it as CSV",
    b"[": "JSON, not CSV: export it as CSV",
    b"<": "a web page or XML, not CSV",
    codecs.BOM_UTF16_LE: _WIDE,
    codecs.BOM_UTF16_BE: _WIDE,
    codecs.BOM_UTF32_BE: _WIDE,
}
"""How files begin that are given in place of a table."""
_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_COLUMNS_SHOWN = 20
_ROUNDED = r"\d+(?:[.,]\d*)?[eE]\+\d+|\d+[.,]\d*[eE]\d+|\d+[.,]0+"
"""A number that went through a float: 1.33E+18, 1,33E+18, 1330800194863190016.0."""
_ROWS_AT_ONCE = 2**16
"""Rows of which Python objects are made at once."""
_LOG = logging.getLogger(__name__)
ColumnRule = tuple[str, str]
"""A regular expression that a value follows unless it is empty, and in words what it asks for."""


def read_pairs(
    file: Path,
    task: Task,
    *,
    max_text_bytes: int,
    inputs: str = MULTIMODAL,
    further: Mapping[str, ColumnRule] | None = None,
    repeats: bool = True,
) -> "pd.DataFrame":
    """Reads a CSV file of pairs and validates every row.

    Args:
        file: UTF-8 CSV with the columns PAIR_COLUMNS in any order; other columns are ignored, but for IMAGE_FILE
            and IMAGE_SHA256 where all four are there: it is a table of a data set of our own.
        task: the labels, and what else a table may call them.
        max_text_bytes: the longest text a row may hold, in UTF-8 bytes.
        inputs: one of INPUTS, what a model is to see: what it does not is not judged, and the columns of texts and
            images that it does not may be absent (they are empty then).
        further: kinds of input beside text and image, each with the rule of its two columns; both or none are there.
        repeats: whether rows of the same two ids are looked at: equal ones are warned of, others refused.

    Returns:
        A frame with PAIR_COLUMNS, the further ones and those of stored images, all strings exactly as in the file, in
        file order, and LABEL_INDEX_COLUMN (int64, position in `task.labels`); labels as the task spells them.

    Raises:
        DataError: the file is absent, empty, no UTF-8 CSV, lacks or repeats a column, or a row is wrong;
            rows are counted from 1, without the header.
    """
    import pandas as pd

    further = further or {}
    hidden = [] if inputs == MULTIMODAL else [kind for kind in ("text", "image", *further) if kind != inputs]
    unseen = {name for kind in hidden for name in columns_of(kind)}
    header = _check_header(file, tuple(name for name in PAIR_COLUMNS if name not in unseen))
    _check_fields(file, len(header))
    rules = _further_columns(file, header, further, hidden)
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            # index_col: else pandas takes surplus values of the first row for an index.
            frame = pd.read_csv(
                file, dtype="str", keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except UnicodeDecodeError:
        raise _not_utf8(file) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise DataError(f"{file} is not a CSV file that can be read: {error}.") from None
    if frame.empty:
        raise DataError(f"{file} has a header but no rows. Expected at least one pair.")
    for name in unseen.intersection(PAIR_COLUMNS) - set(frame.columns):
        frame[name] = pd.array([""] * len(frame), dtype="str")
    stored = [*IMAGE_FILE, *IMAGE_SHA256]
    frame = frame[[*PAIR_COLUMNS, *rules, *(stored if set(stored) <= set(frame.columns) else ())]].fillna("")
    if task.label_map:
        frame[LABEL] = frame[LABEL].replace(task.label_map).astype("str")
    judged = frame.drop(columns=list(unseen), errors="ignore")
    _check_rows(file, frame, _rules(judged, task, max_text_bytes, rules))
    positions = {label: index for index, label in enumerate(task.labels)}
    frame[LABEL_INDEX_COLUMN] = frame[LABEL].map(positions).astype("int64")
    if repeats:
        _check_repeats(file, frame, judged.columns.drop(list(ID)).tolist())
    return frame


def content_hash(frame: "pd.DataFrame") -> str:
    """Hexadecimal SHA-256 over column names and values, in row order; equal frames give equal hashes.

    Neither the dtype of a column of strings nor how its memory is laid out makes a difference.
    """
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(name.encode() + b"\0")
        for start in range(0, len(frame), _ROWS_AT_ONCE):
            _update(digest, frame[name].iloc[start : start + _ROWS_AT_ONCE])
    return digest.hexdigest()


def rows_hash(pairs: "pd.DataFrame") -> str:
    """`content_hash` of pairs as a file has them: without what says where their images are stored."""
    return content_hash(pairs.drop(columns=[*IMAGE_FILE, *IMAGE_SHA256], errors="ignore"))


def pair_hashes(frame: "pd.DataFrame") -> "np.ndarray":
    """For each row 16 hexadecimal digits that depend on its two ids alone; shape [n], dtype object (str)."""
    import numpy as np

    hashes = np.empty(len(frame), object)
    for start in range(0, len(frame), _ROWS_AT_ONCE):
        part = frame.iloc[start : start + _ROWS_AT_ONCE]
        pairs = zip(part[ID[0]].tolist(), part[ID[1]].tolist(), strict=True)
        hashes[start : start + len(part)] = [
            hashlib.sha256(f"{a}\x1f{b}".encode()).hexdigest()[:16] for a, b in pairs
        ]
    return hashes


def _update(digest: "hashlib._Hash", column: "pd.Series[str]") -> None:
    """Adds the lengths of the values and the values."""
    import numpy as np
    import pyarrow as pa

    values = pa.array(column.astype("str"), pa.large_string())
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    _, offsets, octets = values.buffers()
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    digest.update(np.diff(ends).tobytes())
    digest.update(memoryview(octets or b"")[ends[0] : ends[-1]])


def _check_header(file: Path, needed: tuple[str, ...]) -> list[str]:
    """The columns of a file, which must have those needed."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            header = next(filter(_is_row, csv.reader(handle)), None)
    except FileNotFoundError:
        raise DataError(f"There is no file {file}. Give the path of a CSV file of pairs.") from None
    except IsADirectoryError:
        raise DataError(f"{file} is a folder. Expected a CSV file.") from None
    except UnicodeDecodeError:
        raise _not_utf8(file) from None
    except csv.Error as error:
        raise _another_kind(file) or DataError(
            f"{file} is not a CSV file that can be read: {error}."
        ) from None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}.") from None
    if not header:
        raise DataError(f"{file} is empty. Expected the columns {', '.join(needed)}.")
    if missing := [name for name in needed if name not in header]:
        raise _without_columns(file, header, missing)
    if doubled := sorted({name for name in needed if header.count(name) > 1}):
        raise DataError(f"{file} has the column(s) {', '.join(doubled)} more than once. Keep one of each.")
    return header


def _without_columns(file: Path, header: list[str], missing: list[str]) -> DataError:
    """What is said of a file in whose header names are missing: perhaps it has them, but is no CSV in UTF-8."""
    line = ",".join(header)
    if other := _another_kind(file):
        return other
    if set(missing) & set(line.replace("\0", "").split(",")):
        return DataError(f"{file} is {_WIDE}.")
    for sign, name in _SEPARATORS.items():
        if set(missing) & set(next(csv.reader([line], delimiter=sign), [])):
            return DataError(
                f"{file} is separated by {name}, not by commas. Save it as CSV with commas, or convert it: python -c"
                f" \"import pandas; pandas.read_csv('{file}', sep={sign!r}, dtype=str, keep_default_na=False)"
                f".to_csv('{file.with_suffix('.commas.csv')}', index=False)\""
            )
    shown = ", ".join(map(_shown, header[:_COLUMNS_SHOWN])) + ", ..." * (len(header) > _COLUMNS_SHOWN)
    return DataError(f"{file} lacks the column(s) {', '.join(missing)}. Its first row has: {shown}.")


def _another_kind(file: Path) -> DataError | None:
    """What is said of a file that begins as no table does."""
    with file.open("rb") as handle:
        start = handle.read(max(map(len, _OTHER_FILES)))
    what = next((what for sign, what in _OTHER_FILES.items() if start.startswith(sign)), "")
    return DataError(f"{file} is {what}.") if what else None


def _check_fields(file: Path, columns: int) -> None:
    """Raises DataError where a row has more fields than the header, or its quotation marks do not fit."""
    row, limit = 0, csv.field_size_limit(sys.maxsize)
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            for row, fields in enumerate(filter(_is_row, csv.reader(handle, strict=True))):
                if len(fields) > columns:
                    raise DataError(
                        f"{file}, row {row}, has {len(fields)} fields, but there are {columns} columns. Put a text"
                        " that holds a comma in quotation marks, or take out what is too much."
                    )
    except csv.Error as error:
        raise DataError(
            f"{file}, row {row + 1}, is no CSV that can be read: {error}. A text in quotation marks ends with one;"
            ' inside it each is doubled (""), not written \\".'
        ) from None
    except UnicodeDecodeError:
        raise _not_utf8(file) from None
    finally:
        csv.field_size_limit(limit)


def _is_row(fields: list[str]) -> bool:
    """Whether a line is a row: pandas skips one in which nothing stands but blanks."""
    return len(fields) > 1 or bool("".join(fields).strip(" \t"))


def _not_utf8(file: Path) -> DataError:
    """What is wrong with a file that is no UTF-8, and where."""
    if other := _another_kind(file):
        return other
    data = file.read_bytes()
    try:
        data.decode("utf-8-sig")
        place = ""
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = f" (line {line}: {error.reason})"
    return DataError(f"{file} is not UTF-8{place}: {_AS_UTF8}.")


def _further_columns(
    file: Path, header: list[str], further: Mapping[str, ColumnRule], hidden: list[str]
) -> dict[str, ColumnRule]:
    """The columns of further kinds of input that the file has, each with its rule; `hidden` kinds no model sees."""
    rules: dict[str, ColumnRule] = {}
    for kind, rule in further.items():
        there = [header.count(name) for name in columns_of(kind)]
        if there == [1, 1]:
            rules |= dict.fromkeys(columns_of(kind), rule)
        elif any(there) and kind not in hidden:
            raise DataError(f"{file} must have {' and '.join(columns_of(kind))} once each, or none of them.")
    return rules


_Rules = Iterator[tuple[str, str, "np.ndarray | pd.Series[bool]"]]


def _check_rows(file: Path, frame: "pd.DataFrame", rules: _Rules) -> None:
    import numpy as np

    count, first = 0, []
    for name, rule, wrong in rules:
        rows = np.flatnonzero(wrong)
        count += len(rows)
        first += [(row, name, rule) for row in rows[:_SHOWN].tolist()]
    if count:
        first.sort(key=lambda fault: fault[0])
        shown = [_one_fault(row, name, rule, frame[name].iloc[row]) for row, name, rule in first[:_SHOWN]]
        more = f"\n... and {count - _SHOWN} more" if count > _SHOWN else ""
        raise DataError(f"{file} has {count} wrong value(s):\n" + "\n".join(shown) + more)


def _rules(
    frame: "pd.DataFrame", task: Task, max_text_bytes: int, further: Mapping[str, ColumnRule]
) -> _Rules:
    """For each rule its column, what it asks for, and which rows are against it."""
    for name in frame.columns.astype("str"):
        column = frame[name]
        yield name, "must hold no NUL character", column.str.contains("\0", regex=False)
        if name in ID or name in TEXT:
            yield name, "must not be empty", column.str.fullmatch(BLANK)
        if name in ID:
            rounded = column.str.fullmatch(_ROUNDED)
            cure = "must be the whole number: a spreadsheet made this of it; export the column as text"
            yield name, cure, rounded
        if name in TEXT:
            long = utf8_bytes(column) > max_text_bytes
            yield name, f"must be at most {max_text_bytes} bytes (ingest.max_text_bytes)", long
        if name == LABEL:
            rule = f"must be one of {', '.join(task.labels)} (task.labels)"
            yield name, rule, ~column.isin(task.labels)
        if name in further:
            pattern, what = further[name]
            yield name, f"must be {what}, or empty", (column != "") & ~column.str.fullmatch(pattern)


def utf8_bytes(column: "pd.Series[str]") -> "np.ndarray":
    """Length of each value; encoding them in Python would make an object of each."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.asarray(pc.binary_length(pa.array(column)))


def _one_fault(row: int, name: str, rule: str, value: str) -> str:
    return f"  row {row + 1}, column {name}: {rule}. Received: {_shown(value)}"


def _shown(value: str, start: int = 0) -> str:
    """A value in quotation marks, of a long one what stands from `start` on."""
    part = value if len(value) <= _LONGEST_SHOWN else value[start : start + _LONGEST_SHOWN]
    told = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in part)
    if len(value) <= _LONGEST_SHOWN:
        return f"'{told}'"
    before, after = "..." * (start > 0), "..." * (start + _LONGEST_SHOWN < len(value))
    return f"'{before}{told}{after} ({len(value.encode())} bytes)'"


def _check_repeats(file: Path, frame: "pd.DataFrame", judged: Sequence[str]) -> None:
    """Warns of pairs of ids that stand there more than once. Raises DataError where their rows differ."""
    repeated = frame[frame.duplicated(list(ID), keep=False)]
    if repeated.empty:
        return
    # The image is found by its id: a row that names none contradicts no other.
    said = repeated.assign(**{name: repeated[name].where(repeated[name] != "") for name in IMAGE_URL})
    pairs = said.groupby(list(ID), sort=False)
    differ = pairs[list(judged)].nunique().gt(1).any(axis=1)
    if differ.any():
        wrong = differ.index[differ]
        shown = "\n".join(_contradiction(pairs.get_group(ids), judged) for ids in wrong[:_SHOWN])
        more = f"\n... and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise DataError(
            f"{file} has {len(wrong)} pair(s) of ids whose rows contradict each other:\n{shown}{more}\nKeep the right"
            " row of each, or give a post that is another one an id of its own."
        )
    _LOG.warning(
        "%s repeats %d pair(s), first in row %d: copies may fall into different splits.",
        file,
        len(differ),
        repeated.index[0] + 1,
    )


def _contradiction(rows: "pd.DataFrame", judged: Sequence[str]) -> str:
    """One line: in what the rows of one pair of ids differ."""
    told = []
    for name in judged:
        values = rows[name].dropna().drop_duplicates()
        if len(values) > 1:
            alike = takewhile(lambda both: both[0] == both[1], zip(*values[:2], strict=False))
            start = max(0, sum(1 for _ in alike) - _LONGEST_SHOWN // 2)
            first, second = (f"{_shown(values[row], start)} in row {row + 1}" for row in values.index[:2])
            told.append(f"{name} is {first} and {second}")
    ids = ", ".join(f"{name} {_shown(rows[name].iloc[0])}" for name in ID)
    return f"  {ids}: {'; '.join(told)}"
