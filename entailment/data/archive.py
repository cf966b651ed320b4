"""Images out of a tar archive that nobody vouches for: flattened, bounded, whole or not at all."""

import gzip
import io
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final, Self

from entailment.data.image_paths import EXTENSIONS
from entailment.errors import DownloadError
from entailment.files import written_aside

_ENDINGS: Final = tuple(f".{extension}" for extension in EXTENSIONS)
_LONGEST_HEADER: Final = 1 << 16
_LONGEST_NAME: Final = 200
_TAR_OVERHEAD: Final = 4096  # bytes of headers and padding for each file that the bound on the stream allows
_EXTENDED_HEADERS: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def extract_images(archive: Path, folder: Path, *, max_bytes: int, max_files: int) -> int:
    """Writes the images in a `.tar.gz` straight into `folder`, whatever folders they lie in; returns their number.

    Files are chosen by their names' extensions; others and hidden ones are passed over. `folder` is replaced as a
    whole when all went well and is untouched otherwise.

    Raises:
        DownloadError: the archive is damaged, holds no image or two of one name, is not to be trusted (a path that
            is absolute or has `..`, a link, a device), or has over `max_bytes` bytes or `max_files` entries.
    """
    try:
        with written_aside(folder) as aside:
            aside.mkdir()
            return _extract(archive, aside, max_bytes, max_files)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError) as error:
        raise DownloadError(
            f"{archive} is damaged or no .tar.gz: {error}. Remove it and run again."
        ) from None
    except OSError as error:
        raise DownloadError(
            f"{archive} cannot be unpacked into {folder}: {error.strerror or error}."
        ) from None


def _extract(archive: Path, aside: Path, max_bytes: int, max_files: int) -> int:
    images = size = 0
    bound = max_bytes + (max_files + 1) * _TAR_OVERHEAD
    with (
        gzip.open(archive) as file,
        _BoundedStream(archive, file, bound) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_PlainMember) as members,
    ):
        for count, member in enumerate(members, 1):
            size += member.size
            if count > max_files or size > max_bytes:
                raise _over(archive, f"{max_files} entries or {max_bytes} bytes")
            _refuse_unsafe(archive, member)
            name = PurePosixPath(member.name).name
            if member.isreg() and not name.startswith(".") and name.lower().endswith(_ENDINGS):
                _write(archive, members, member, aside / name)
                images += 1
        while stream.read(1 << 16):  # to the end, where gzip keeps its checksum
            pass
    if not images:
        raise DownloadError(f"{archive} holds no image.")
    return images


def _over(archive: Path, bound: str) -> DownloadError:
    return DownloadError(
        f"{archive} unpacks to more than {bound}. If it is to be trusted, raise tweets.max_bytes or tweets.max_files."
    )


def _refuse_unsafe(archive: Path, member: tarfile.TarInfo) -> None:
    kind = "a link" if member.islnk() or member.issym() else "a device or pipe" if member.isdev() else None
    if kind is None and (member.issparse() or not (member.isreg() or member.isdir())):
        kind = "no plain file"
    path = PurePosixPath(member.name)
    if kind is None and (path.is_absolute() or ".." in path.parts):
        kind = "a path outside the archive's folder"
    if kind is None and (
        "\\" in member.name or "\0" in member.name or len(path.name.encode()) > _LONGEST_NAME
    ):
        kind = "no fit name for a file"
    if kind:
        raise DownloadError(f"{archive} is not to be trusted: its entry {member.name[:100]!r} is {kind}.")


def _write(archive: Path, members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = members.extractfile(member)
    assert content is not None  # it is a regular file
    try:
        with content, target.open("xb") as file:
            shutil.copyfileobj(content, file)
    except FileExistsError:
        raise DownloadError(f"{archive} holds two images named {target.name!r}.") from None


class _PlainMember(tarfile.TarInfo):
    """A tar header; those that are read whole into memory (long names, attributes) may not be large."""

    def _proc_member(self, tarfile: tarfile.TarFile) -> Self | None:  # tarfile's own place for subclasses
        if self.type in _EXTENDED_HEADERS and self.size > _LONGEST_HEADER:
            raise DownloadError(f"The archive is not to be trusted: a header of {self.size} bytes.")
        return super()._proc_member(tarfile)  # type: ignore[misc, no-any-return]


class _BoundedStream(io.RawIOBase):
    """The unpacked bytes of a gzip file, up to a bound: what a small file unpacks to is unknown beforehand."""

    def __init__(self, path: Path, file: gzip.GzipFile, bound: int) -> None:
        self._path = path
        self._file = file
        self._left = bound

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; raises DownloadError once the bound is passed."""
        block = self._file.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise _over(self._path, "its bounds on size and number of files allow")
        return block
