"""Files that are whole or absent: write aside, then rename; one process at a time behind a lock."""

import errno
import fcntl
import glob
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from entailment.errors import DataError, EntailmentError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SAID: Final = {
    **{os.strerror(number): number for number in (*_FULL, errno.EROFS, errno.EACCES)},
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "unable to open database file": errno.EACCES,
}
"""How the system, and SQLite, which tells no number, say that nothing can be written."""
_OF_FILES: Final = ("PermissionDeniedError", "SafetensorError")
"""Errors of TensorFlow and safetensors that "permission denied" is said of a file in."""
_PATH: Final = re.compile(r"(?:^|[\s'\"])(/[^;:'\"]*[^;:'\"\s])")

PATIENCE: Final = 60
"""Seconds that a database is waited for which somebody else has locked: a backup, another run."""


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
        if fault is None or (fault.filename and not fault.filename.startswith(str(scratch))):
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
    """Writes a text that nobody but its owner may read, at no moment, atomically."""
    with written_aside(path) as aside:
        aside.touch(0o600)
        aside.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def check_format(path: Path | str, found: int, newest: int) -> None:
    """Raises DataError where `path` was written in a format `found` that came after the `newest` one known here."""
    if found > newest:
        raise DataError(
            f"{path} is of format {found}, and this version reads up to {newest}: a newer version of the program"
            " wrote it. Use that version, or another home (ENTAILMENT_HOME)."
        )


def free_bytes(folder: Path) -> int:
    """Bytes that a normal user may still write on the disk of `folder`, or of its nearest parent there is."""
    while not folder.exists():
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def no_room(said: object, folder: Path) -> str | None:
    """Says that the disk of `folder` has no room where that is what an error or a program `said`, else None."""
    if not any(os.strerror(fault) in str(said) for fault in (errno.ENOSPC, errno.EDQUOT)):
        return None
    return (
        f"there is no room on the disk of {folder}, where {free_bytes(folder) / 1e6:.0f} MB are free. Make room and"
        " run the command again: no half-written file was kept, and what was there before is whole."
    )


def bytes_of_folder(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raises EntailmentError where fewer than the `needed` bytes are free on the disk of `folder` for `what`."""
    free = free_bytes(folder)
    if needed > free:
        raise EntailmentError(
            f"{what} need about {needed / 1e6:.1f} MB in {folder}, where {free / 1e6:.1f} MB are free:"
            f" {(needed - free) / 1e6:.1f} MB are missing. Make room, or set ENTAILMENT_HOME to another folder, and"
            " run the same command again."
        )


def disk_fault(error: BaseException | None) -> OSError | None:
    """What an error, or one that it came from, says of a disk that is full, read-only or not to be written.

    It has `errno`, `strerror`, and `filename` where the library named the file; None for any other error, and for
    one of ours, which has said it in its own words.

    Example:
        disk_fault(shutil.Error([("a", "/b/a", "[Errno 28] No space left on device")])).filename  # "/b/a"
    """
    while error is not None and not isinstance(error, EntailmentError):
        said = _said_by(error)
        if said is not None:
            return OSError(_SAID[said], said, _file_of(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def disk_message(fault: OSError, home: Path) -> str:
    """A `disk_fault` in words: which file, how much was free, and what to do. `home` where no file was named."""
    place, full = Path(fault.filename or home), fault.errno in _FULL
    free = f" ({free_bytes(place) / 1e6:.1f} MB are free there now)" if full else ""
    todo = "Make room" if full else "Give this user the right to it"
    return (
        f"Cannot read or write {place}: {fault.strerror}{free}. What was there before is whole. {todo}, or set"
        " ENTAILMENT_HOME to another folder, and run the same command again."
    )


def _said_by(error: BaseException) -> str | None:
    """Which of `_SAID` an error says, by its number or in its text."""
    if isinstance(error, OSError) and error.errno:
        said = os.strerror(error.errno)
        return said if said in _SAID else None
    found = next((said for said in _SAID if said in str(error)), None)
    # Whom a server forbids something may write here all the same.
    of_files = isinstance(error, OSError) or type(error).__name__ in _OF_FILES
    return found if of_files or found != os.strerror(errno.EACCES) else None


def _file_of(error: BaseException) -> str | None:
    """The file that could not be written, where the error names one."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][1])
    if isinstance(error, OSError) and error.filename is not None:
        return str(error.filename2 or error.filename)
    found = None if type(error).__name__ == "OperationalError" else _PATH.search(str(error))
    return found[1] if found else None
