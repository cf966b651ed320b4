"""Reading and validating a table of pairs."""

import csv
import hashlib
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from entailment.data.schema import (
    ID,
    IMAGE_URL,
    LABEL,
    LABEL_INDEX,
    LABEL_INDEX_COLUMN,
    LABELS,
    PAIR_COLUMNS,
    TEXT,
)
from entailment.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pandera.pandas as pa

_SHOWN = 5
_ROWS_AT_ONCE = 2**16
"""Rows of which Python objects are made at once."""
_LOG = logging.getLogger(__name__)


def read_pairs(file: Path, *, max_text_bytes: int, labelled: bool = True) -> "pd.DataFrame":
    """Reads a CSV file of pairs and validates every row.

    Args:
        file: UTF-8 CSV with the columns PAIR_COLUMNS in any order; other columns are ignored.
        max_text_bytes: the longest text a row may hold, in UTF-8 bytes.
        labelled: whether the label column must be there; without it texts may be empty too.

    Returns:
        A frame with PAIR_COLUMNS, all strings exactly as in the file (ids too), in file order, and, when
        labelled, LABEL_INDEX_COLUMN (int64, position in LABELS).

    Raises:
        DataError: the file is absent, empty, no UTF-8 CSV, lacks or repeats a column, or a row is wrong;
            rows are counted from 1, without the header.
    """
    import pandas as pd

    needed = PAIR_COLUMNS if labelled else PAIR_COLUMNS[:-1]
    _check_header(file, needed)
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            # index_col: else pandas takes surplus values of the first row for an index.
            frame = pd.read_csv(
                file, dtype="str", keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise DataError(f"{file} is not a CSV file that can be read: {error}.") from None
    if frame.empty:
        raise DataError(f"{file} has a header but no rows. Expected at least one pair.")
    frame = frame[[name for name in PAIR_COLUMNS if name in frame.columns and (labelled or name != LABEL)]]
    frame = frame.fillna("")
    _check_rows(file, frame, max_text_bytes, labelled)
    if labelled:
        frame[LABEL_INDEX_COLUMN] = frame[LABEL].map(LABEL_INDEX).astype("int64")
        _check_repeats(file, frame)
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


def _check_header(file: Path, needed: tuple[str, ...]) -> None:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            header = next(csv.reader(handle), None)
    except FileNotFoundError:
        raise DataError(f"There is no file {file}. Give a CSV with --dataset FILE.csv.") from None
    except IsADirectoryError:
        raise DataError(f"{file} is a folder. Expected a CSV file.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}.") from None
    if not header:
        raise DataError(f"{file} is empty. Expected the columns {', '.join(needed)}.")
    if missing := [name for name in needed if name not in header]:
        raise DataError(f"{file} lacks the column(s) {', '.join(missing)}. It has: {', '.join(header)}.")
    if doubled := sorted({name for name in needed if header.count(name) > 1}):
        raise DataError(f"{file} has the column(s) {', '.join(doubled)} more than once. Keep one of each.")


def _check_rows(file: Path, frame: "pd.DataFrame", max_text_bytes: int, labelled: bool) -> None:
    import pandera.pandas as pa

    try:
        _schema(max_text_bytes, labelled).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.sort_values("index")
        shown = [_one_fault(case) for _, case in cases.head(_SHOWN).iterrows()]
        more = f"\n... and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
        raise DataError(f"{file} has {len(cases)} wrong value(s):\n" + "\n".join(shown) + more) from None


def _schema(max_text_bytes: int, labelled: bool) -> "pa.DataFrameSchema":
    import pandera.pandas as pa

    filled = pa.Check(lambda column: column != "", name="must not be empty")
    whole = pa.Check(
        lambda column: ~column.str.fullmatch(r"\d(\.\d+)?[eE]\+\d+"),
        name="must be the whole number: a spreadsheet rounded this one",
    )
    short = pa.Check(
        lambda column: _utf8_bytes(column) <= max_text_bytes,
        name=f"must be at most {max_text_bytes} bytes (ingest.max_text_bytes)",
    )
    known = pa.Check(lambda column: column.isin(LABELS), name=f"must be one of {', '.join(LABELS)}")
    columns = {name: pa.Column(checks=[filled, whole]) for name in ID}
    columns |= {name: pa.Column(checks=[filled, short] if labelled else [short]) for name in TEXT}
    columns |= {name: pa.Column() for name in IMAGE_URL}
    return pa.DataFrameSchema(columns | ({LABEL: pa.Column(checks=[known])} if labelled else {}))


def _utf8_bytes(column: "pd.Series[str]") -> "pd.Series[int]":
    """Length of each value; encoding them in Python would make an object of each."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    return pd.Series(pc.binary_length(pa.array(column)).to_numpy(), column.index)


def _one_fault(case: "pd.Series") -> str:
    value = str(case["failure_case"])
    shown = value if len(value) <= 40 else f"{value[:40]}... ({len(value.encode())} bytes)"
    return f"  row {int(case['index']) + 1}, column {case['column']}: {case['check']}. Received: '{shown}'"


def _check_repeats(file: Path, frame: "pd.DataFrame") -> None:
    repeated = frame[frame.duplicated(list(ID), keep=False)]
    if repeated.empty:
        return
    labels = repeated.groupby(list(ID))[LABEL].nunique()
    if (labels > 1).any():
        first, second = labels[labels > 1].index[0]
        rows = frame.index[(frame[ID[0]] == first) & (frame[ID[1]] == second)] + 1
        raise DataError(
            f"{file}: the pair ({first}, {second}) has two labels, in rows {', '.join(map(str, rows[:_SHOWN]))}"
            f" ({int((labels > 1).sum())} such pair(s) in all). Keep the right one."
        )
    _LOG.warning(
        "%s repeats %d pair(s), first in row %d: copies may fall into different splits.",
        file,
        len(labels),
        repeated.index[0] + 1,
    )
