"""What the feature store holds, by encoder, and how it is kept below a size."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from entailment.encoders.feature_store import ABOUT, SUFFIX
from entailment.files import read_json

_ABANDONED: Final = 3600
"""Seconds after which a half-written file belongs to a process that was killed."""


@dataclass(frozen=True)
class StoredEncoder:
    """The stored features of one encoder."""

    folder: str
    about: dict[str, Any]
    """`inputs`, `encoder` and `fingerprint`; empty where that record is gone."""
    features: int
    files: int
    bytes: int
    last_used: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Pruned:
    """What `prune` removed and left."""

    files: int
    bytes: int
    bytes_left: int


def inventory(folder: Path) -> list[StoredEncoder]:
    """Every encoder that has features below `folder`, the largest first."""
    stored = [_stored(path) for path in sorted(folder.glob("*")) if path.is_dir()]
    return sorted((entry for entry in stored if entry.files), key=lambda entry: -entry.bytes)


def prune(folder: Path, max_bytes: int) -> Pruned:
    """Removes the least recently used files until at most `max_bytes` are left, and what killed processes left.

    A run that has a file mapped goes on using it.
    """
    for leftover in folder.glob("*/.*"):
        if leftover.is_dir() and time.time() - leftover.stat().st_mtime > _ABANDONED:
            shutil.rmtree(leftover, ignore_errors=True)
    encoders = [path for path in folder.glob("*") if path.is_dir()]
    found = [shard for encoder in encoders for shard in _shards(encoder)]
    shards = sorted(found, key=lambda shard: (shard[2], str(shard[0])))
    left, removed = sum(size for _, size, _ in shards), []
    for path, size, _ in shards:
        if left <= max_bytes:
            break
        path.unlink(missing_ok=True)
        removed.append(size)
        left -= size
    for encoder in encoders:
        if {entry.name for entry in encoder.iterdir()} <= {ABOUT}:
            shutil.rmtree(encoder, ignore_errors=True)
    return Pruned(len(removed), sum(removed), left)


def _shards(encoder: Path) -> Iterator[tuple[Path, int, float]]:
    """Path, bytes and last use of each file of features in an encoder's folder."""
    for path in encoder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            stat = path.stat()
            yield path, stat.st_size, stat.st_mtime


def _stored(folder: Path) -> StoredEncoder:
    shards = list(_shards(folder))
    about = folder / ABOUT
    return StoredEncoder(
        folder.name,
        read_json(about) if about.is_file() else {},
        sum(_rows(path) for path, _, _ in shards),
        len(shards),
        sum(size for _, size, _ in shards),
        max((used for _, _, used in shards), default=0.0),
    )


def _rows(path: Path) -> int:
    """How many features a file holds; 0 where it cannot be read."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            return int(pa.ipc.open_file(source).get_batch(0).num_rows)
    except (OSError, pa.ArrowException):
        return 0
