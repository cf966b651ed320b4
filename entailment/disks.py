"""Disks that are full, read-only or not to be written: room asked for before, errors put in words after."""

import errno
import os
import re
import shutil
from pathlib import Path
from typing import Final

from entailment.errors import EntailmentError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SAID: Final = {
    **{os.strerror(number): number for number in (*_FULL, errno.EROFS, errno.EACCES)},
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
}
"""How the system, and SQLite, which tells no number, say that nothing can be written."""
_OF_FILES: Final = ("PermissionDeniedError", "SafetensorError")
"""Errors of TensorFlow and safetensors that "permission denied" is said of a file in."""
_PATH: Final = re.compile(r"(?:^|[\s'\"])(/[^;:'\"]*[^;:'\"\s])")


def free_bytes(folder: Path) -> int:
    """Bytes that a normal user may still write on the disk of `folder`, or of its nearest parent there is."""
    while not folder.exists():
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


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
    """A `disk_fault` in words: which file, if one was named, how much is free, and what to do.

    Another home is advised where the file lies in `home` alone.
    """
    file, full = fault.filename and Path(fault.filename), fault.errno in _FULL
    what = f"Cannot read or write {file}" if file else "Something could not be written"
    where = "there" if file else f"in {home}"
    free = f" ({free_bytes(file or home) / 1e6:.1f} MB are free {where} now)" if full else ""
    todo = "Make room" if full else "Give this user the right to it"
    other = ", or set ENTAILMENT_HOME to another folder," if file and file.is_relative_to(home) else ""
    return (
        f"{what}: {fault.strerror}{free}. What was there before is whole. {todo}{other} and run the same command"
        " again."
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
