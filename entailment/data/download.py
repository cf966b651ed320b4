"""One file from a URL: resumed where it broke off, verified, and there as a whole or not at all."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from entailment.disks import free_bytes
from entailment.errors import DownloadError
from entailment.files import locked, sha256_of_file
from entailment.progress import progress_bar

_TRIES: Final = 3
_PAUSES_S: Final = (1.0, 4.0)
_BLOCK: Final = 1 << 16
_PASSING_STATUSES: Final = (408, 425, 429, 500, 502, 503, 504)


class _BrokenOffError(Exception):
    """The transfer broke off in a way that another try may get over."""


@dataclass(frozen=True)
class _Request:
    url: str
    target: Path
    sha256: str | None
    expected_bytes: int | None
    max_bytes: int
    progress: bool
    timeout: float

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        """Beside a part: which URL and which version of the file it is a part of."""
        return self.target.with_name(self.target.name + ".part.json")

    def discard_part(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    expected_bytes: int | None = None,
    max_bytes: int,
    progress: bool = True,
    timeout: float = 30.0,
) -> None:
    """Downloads `url` to the file `target`, unless it is there already and is what is expected.

    A broken transfer is taken up where it stopped, by up to three tries here and by any later call, if the server
    knows ranges and says that the file is still the same. Two processes at once download once. `timeout` is the
    longest silence borne, in seconds. With `progress` a bar goes to standard error.

    Raises:
        DownloadError: no connection, an answer other than the file, more than `max_bytes`, too little free disk,
            or a size or checksum other than expected (what came is then removed).
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(f"{url} cannot be downloaded: the address must begin with http:// or https://.")
    request = _Request(url, target, sha256, expected_bytes, max_bytes, progress, timeout)
    try:
        with locked(target.with_name(f".{target.name}.lock")):
            if not (target.is_file() and _wrong(request, target) is None):
                _fetch(request)
    except OSError as error:
        raise DownloadError(f"{url} cannot be written to {target}: {error.strerror or error}.") from None


def _wrong(request: _Request, path: Path) -> str | None:
    """What distinguishes a file from what is expected, None if nothing does."""
    size = path.stat().st_size
    if request.expected_bytes is not None and size != request.expected_bytes:
        return f"{size} bytes came, {request.expected_bytes} were expected"
    if request.sha256 is not None and (actual := sha256_of_file(path)) != request.sha256:
        return f"its SHA-256 is {actual}, expected was {request.sha256}"
    return None


def _fetch(request: _Request) -> None:
    reason = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSES_S[attempt - 1])
        try:
            _transfer(request)
            break
        except _BrokenOffError as error:
            reason = str(error)
    else:
        raise DownloadError(_how_to_go_on(request, f"{reason}; {_TRIES} tries"))
    if wrong := _wrong(request, request.part):
        request.discard_part()
        raise DownloadError(
            f"What {request.url} gave is not the file expected: {wrong}. It was removed. Run again; if this"
            " stays, the file has changed at its source: check it, then change or remove the recorded checksum."
        )
    request.part.replace(request.target)
    request.discard_part()


def _how_to_go_on(request: _Request, reason: str) -> str:
    return (
        f"{request.url} could not be downloaded ({reason}). Check the connection and run again: it goes on where it"
        f" stopped. Without a connection, fetch the file elsewhere and put it at {request.target}"
        + (f" (SHA-256 {request.sha256})." if request.sha256 else ".")
    )


def _transfer(request: _Request) -> None:
    """One try: leaves the whole file in the part, or raises _BrokenOffError or DownloadError."""
    have = request.part.stat().st_size if request.part.is_file() else 0
    same = _validator_of_part(request) if have else None
    headers = {"Accept-Encoding": "identity", "User-Agent": "multimodal-entailment"}
    if same:
        headers |= {"Range": f"bytes={have}-", "If-Range": same}
    asked = urllib.request.Request(request.url, headers=headers)
    try:
        answer = urllib.request.urlopen(asked, timeout=request.timeout)
    except urllib.error.HTTPError as error:
        _refused(request, error)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(str(getattr(error, "reason", error)) or type(error).__name__) from None
    with answer:
        _receive(request, answer, have if same else 0)


def _refused(request: _Request, error: urllib.error.HTTPError) -> NoReturn:
    error.close()
    if error.code == 416:  # the part is not a beginning of what is there now
        request.discard_part()
        raise _BrokenOffError("what was there of the file did not fit and was removed")
    if error.code in _PASSING_STATUSES:
        raise _BrokenOffError(f"the server answered {error.code} {error.reason}")
    raise DownloadError(_how_to_go_on(request, f"the server answered {error.code} {error.reason}"))


def _validator_of_part(request: _Request) -> str | None:
    """The ETag or date that the part's version of the file had, None if it cannot be gone on with."""
    try:
        note = json.loads(request.note.read_text(encoding="utf-8"))
        return note["validator"] if note["url"] == request.url else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _receive(request: _Request, answer: Any, have: int) -> None:
    start = _start_of(answer, have)
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    _check_sizes(request, total, start)
    if start == 0:
        etag = answer.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else None
        validator = strong or answer.headers.get("Last-Modified")
        request.note.write_text(json.dumps({"url": request.url, "validator": validator}), encoding="utf-8")
    size = _write(request, answer, start, total)
    if total is not None and size < total:
        raise _BrokenOffError(f"the connection closed after {size} of {total} bytes")


def _start_of(answer: Any, have: int) -> int:
    """Where in the file the answer begins; 0 when the server sends it anew."""
    if answer.status != 206:
        return 0
    sent = answer.headers.get("Content-Range", "")
    if not sent.startswith(f"bytes {have}-"):
        raise _BrokenOffError(f"the server sent the range {sent!r}, not the one asked for")
    return have


def _check_sizes(request: _Request, total: int | None, start: int) -> None:
    if total is None:
        return
    if total > request.max_bytes:
        request.discard_part()
        raise DownloadError(f"{request.url} has {total} bytes; at most {request.max_bytes} are accepted.")
    if request.expected_bytes is not None and total != request.expected_bytes:
        request.discard_part()
        raise DownloadError(f"{request.url} has {total} bytes; {request.expected_bytes} were expected.")
    free = free_bytes(request.target.parent)
    if total - start > free:
        raise DownloadError(
            f"{request.url} needs {total - start} bytes more in {request.target.parent}, where {free} are free."
            " Make room and run again."
        )


def _write(request: _Request, answer: Any, start: int, total: int | None) -> int:
    shown, name = request.progress, request.target.name
    bar = progress_bar(total, unit="B", what=name, shown=shown, initial=start, unit_scale=True)
    size = start
    with bar, request.part.open("ab" if start else "wb") as part:
        for block in _blocks(answer):
            size += len(block)
            if size > request.max_bytes:
                part.close()
                request.discard_part()
                raise DownloadError(f"{request.url} has more than the {request.max_bytes} bytes accepted.")
            part.write(block)
            bar.update(len(block))
    return size


def _blocks(answer: Any) -> Iterator[bytes]:
    try:
        while block := answer.read(_BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"the connection broke: {error or type(error).__name__}") from None
