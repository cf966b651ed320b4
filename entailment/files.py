"""Files that are whole or absent: write aside, then rename; one process at a time behind a lock."""

import fcntl
import glob
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.disks import disk_fault
from entailment.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PATIENCE: Final = 60
"""Seconds that a database is waited for which somebody else has locked: a backup, another run."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Gives a fresh path beside `target`; what was written there becomes `target` when the block ends well.

    A file replaces an older file atomically. A folder replaces an older folder by two renames.
    On any exception what was written aside is removed and `target` stays as it was. Raises OSError with `target` as
    its file where nothing can be written (`disk_fault`), whatever library found that out.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    aside = scratch / target.name
    try:
        yield aside
        if not target.is_dir():
            aside.replace(target)
            return
        replaced = target.rename(scratch / "replaced")
        try:
            aside.rename(target)
        except OSError:
            replaced.rename(target)
            raise
    except Exception as error:
        fault = disk_fault(error)
        if fault is None or (fault.filename and not Path(fault.filename).is_relative_to(scratch)):
            raise
        raise OSError(fault.errno, fault.strerror, str(target)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def made_once(target: Path, is_whole: Callable[[Path], bool], make: Callable[[Path], None]) -> None:
    """Has `make` write the file or folder `target` at the path it is given, unless a whole one is there.

    One process makes it, others wait. What a killed one had begun is removed.
    """
    if target.exists() and is_whole(target):
        return
    with locked(target.with_name(f"{target.name}.lock")):
        for left in target.parent.glob(f".{glob.escape(target.name)}.*"):
            shutil.rmtree(left, ignore_errors=True)
        if not (target.exists() and is_whole(target)):
            with written_aside(target) as aside:
                make(aside)


def holds_rows(database: Path, tables: Iterable[str]) -> bool:
    """Whether an SQLite database has all these tables, with a row at least in each."""
    import sqlite3

    with closing(sqlite3.connect(database, timeout=PATIENCE)) as opened:
        there = {name for (name,) in opened.execute("select name from sqlite_master")}
        return there.issuperset(tables) and all(
            opened.execute(f"select 1 from {table} limit 1").fetchone() for table in tables
        )


@contextmanager
def locked(path: Path, waiting: str = "", *, wait: bool = True) -> Iterator[None]:
    """Holds an exclusive lock on the file `path` (made if absent) until the block ends.

    Waits while another process holds it; then `waiting` is logged, if given. Without `wait` raises BlockingIOError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise
            if waiting:
                logging.getLogger(__name__).warning("%s", waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """Hexadecimal SHA-256 over the relative names and contents of all files below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + sha256_of_file(path).encode())
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically. Raises ValueError on NaN: JSON has none."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Writes a text atomically; at no moment may anybody but its owner read it."""
    with written_aside(path) as aside:
        aside.touch(0o600)
        aside.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def spreadsheet_csv(table: "pd.DataFrame") -> str:
    """A table as CSV for people: texts that a spreadsheet would run as formulas stand behind an apostrophe.

    Lines end as RFC 4180 has it, so that a text with either sign of an end of line is quoted.
    """
    return str(table.map(_inert).to_csv(index=False, lineterminator="\r\n"))


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def check_format(path: Path | str, found: int, newest: int) -> None:
    """Raises DataError where `path` was written in a format `found` that came after the `newest` one known here."""
    if found > newest:
        raise DataError(
            f"{path} is of format {found}, and this version reads up to {newest}: a newer version of the program"
            " wrote it. Use that version, or another home (ENTAILMENT_HOME)."
        )


def bytes_of_folder(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
