"""A store of features on disk: each distinct input is encoded once, ever, for a given encoder.

One folder for each encoder; in it immutable Arrow files ("shards"), each named after the SHA-256 of its own bytes:
a changed byte is found before a shard is used, and processes that add shards at the same time cannot disturb
each other. A shard's time of change is the time of its last use.
"""

import copy
import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.errors import DataError
from entailment.files import check_format, sha256_of_file, write_json, written_aside

if TYPE_CHECKING:
    import numpy as np

SUFFIX: Final = ".arrow"
ABOUT: Final = "encoder.json"
"""What the encoder of a folder is, for people."""
_SECONDS: Final = b"seconds"
_FORMAT_KEY: Final = b"format"
_FORMAT: Final = 1
"""Of a shard and of what is beside it; one that says none is of this format."""
_LOG = logging.getLogger(__name__)


@dataclass
class Usage:
    """What a store was asked for: each distinct input of a lookup counts once."""

    hits: int = 0
    misses: int = 0
    seconds_saved: float = 0.0
    """What encoding the hits took when they were encoded."""
    seconds_spent: float = 0.0
    """What encoding the misses took."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.hits + other.hits,
            self.misses + other.misses,
            self.seconds_saved + other.seconds_saved,
            self.seconds_spent + other.seconds_spent,
        )


class StoredFeatures:
    """Vectors that lie in a store, taken by position: `features[rows]` is float32 [len(rows), width]."""

    def __init__(
        self,
        vectors: "Sequence[np.ndarray | None]",
        shard: "np.ndarray",
        row: "np.ndarray",
        width: int,
    ) -> None:
        """`shard` and `row`, int [n], say where each vector lies in `vectors`; shard -1 is a vector of zeros."""
        self._vectors, self._shard, self._row = vectors, shard, row
        self.shape = (len(shard), width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: "np.ndarray | slice") -> "np.ndarray":
        import numpy as np

        shard, row = self._shard[rows], self._row[rows]
        taken = np.zeros((len(shard), self.shape[1]), np.float32)
        for number in np.unique(shard[shard >= 0]):
            here, vectors = shard == number, self._vectors[number]
            assert vectors is not None
            taken[here] = vectors[row[here]]
        return taken

    def select(self, rows: "np.ndarray") -> "StoredFeatures":
        """The vectors of some rows, int [k], in their order; still not read."""
        chosen = copy.copy(self)
        chosen._shard, chosen._row = self._shard[rows], self._row[rows]
        chosen.shape = (len(rows), self.shape[1])
        return chosen


class _Shard:
    """One file of a store, or vectors that could not be written to one."""

    def __init__(self, path: Path | None, keys: "np.ndarray", width: int, seconds: float) -> None:
        self.path, self.keys, self.width, self.seconds = path, keys, width, seconds
        self.vectors: np.ndarray | None = None


class FeatureStore:
    """The features of one encoder: float32 vectors of one width, found by 16-byte keys (numpy dtype S16).

    `usage` counts what `missing` was asked for. A folder that cannot be written, is full or is removed while it is
    in use costs encoding anew, with a warning, and never a wrong vector.
    """

    def __init__(
        self, folder: Path | None, width: Callable[[], int], about: Mapping[str, Any] | None = None
    ) -> None:
        """Opens (or begins) the store in `folder`; None keeps it in memory.

        `width` gives the encoder's; it is called only where the shards do not tell, because it may load the encoder.
        `about` says what the encoder is, and is kept beside the features. Raises DataError where a newer version of
        the program wrote features there.
        """
        self._folder, self._encoder_width, self._about = folder, width, dict(about or {})
        self.usage = Usage()
        self._shards: list[_Shard] = []
        self._index: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder else ():
            self._open(path)
        if len({shard.width for shard in self._shards}) > 1:
            right = width()
            for shard in self._shards:
                if shard.path and shard.width != right:
                    _discard(shard.path)
            self._shards = [shard for shard in self._shards if shard.width == right]

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return self._shards[0].width if self._shards else self._encoder_width()

    def __len__(self) -> int:
        return len(self._indexed()[0])

    def missing(self, keys: "np.ndarray") -> "np.ndarray":
        """Positions, int64 ascending, of the first occurrence of each key that the store lacks.

        Shards that hold other keys of these are verified and mapped; what is damaged or gone counts as lacking.
        The empty key means no input and is never missing.
        """
        import numpy as np

        present = np.flatnonzero(keys != b"")
        distinct, first = np.unique(keys[present], return_index=True)
        shard = self._find(distinct)[0]
        while damaged := [number for number in np.unique(shard[shard >= 0]) if not self._mapped(int(number))]:
            self._forget(damaged)
            shard = self._find(distinct)[0]
        found = shard >= 0
        saved = sum(
            self._shards[n].seconds * int(count) / len(self._shards[n].keys)
            for n, count in zip(*np.unique(shard[found], return_counts=True), strict=True)
        )
        self.usage += Usage(int(found.sum()), int((~found).sum()), saved)
        return np.sort(present[first[~found]])

    def add(self, keys: "np.ndarray", vectors: "np.ndarray", seconds: float) -> None:
        """Adds vectors, float32 [n, width], one for each key, as one shard: whole or not at all.

        `seconds` is what encoding them took. Where the shard cannot be written it is kept in memory. Raises DataError
        where the store holds vectors of another width.
        """
        if self._shards and vectors.shape[1] != self.width:
            raise DataError(
                f"The features in {self._folder} are {self.width} wide, and the encoder gives {vectors.shape[1]}:"
                " they are another encoder's. Delete the folder and run again."
            )
        shard = _Shard(None, keys, vectors.shape[1], seconds)
        shard.vectors = vectors
        if self._folder:
            try:
                shard.path = self._write(self._folder, shard)
                shard.vectors = _read_vectors(shard.path)
            except OSError as error:
                shard.path = None
                _LOG.warning(
                    "%d features cannot be kept in %s (%s): this run goes on, the next one encodes them again.",
                    len(keys),
                    self._folder,
                    error.strerror or error,
                )
        self._shards.append(shard)
        self._index = None
        self.usage += Usage(seconds_spent=seconds)

    def at(self, keys: "np.ndarray") -> StoredFeatures:
        """The vectors of keys that `missing` was asked for and that were added since, in their order.

        The empty key gives zeros. Raises KeyError on another key.
        """
        shard, row = self._find(keys)
        if ((shard < 0) & (keys != b"")).any():
            raise KeyError("a key that is not in the store")
        vectors = [stored.vectors for stored in self._shards]
        return StoredFeatures(vectors, shard, row, self.width)

    def _find(self, keys: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Number of the shard (-1: none) and row in it of each key."""
        import numpy as np

        known, shard, row = self._indexed()
        if len(known) == 0:
            return np.full(len(keys), -1), np.zeros(len(keys), np.int64)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        found = known[places] == keys
        return np.where(found, shard[places], -1), row[places]

    def _indexed(self) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """All keys in order, with shard and row of each; of equal keys the first shard's."""
        import numpy as np

        if self._index is None:
            sizes = [len(shard.keys) for shard in self._shards]
            keys = np.concatenate([np.empty(0, "S16"), *(shard.keys for shard in self._shards)])
            distinct, first = np.unique(keys, return_index=True)
            shard = np.repeat(np.arange(len(sizes)), sizes)[first]
            row = np.concatenate([np.empty(0, np.int64), *map(np.arange, sizes)])[first]
            self._index = distinct, shard, row
        return self._index

    def _mapped(self, number: int) -> bool:
        """Verifies and maps a shard on its first use; False when it cannot be used."""
        import pyarrow as pa

        shard = self._shards[number]
        if shard.vectors is not None or shard.path is None:
            return True
        try:
            if sha256_of_file(shard.path) == shard.path.stem:
                shard.vectors = _read_vectors(shard.path)
                with suppress(OSError):
                    os.utime(shard.path)
                return True
        except FileNotFoundError:
            _LOG.warning("Stored features %s are gone: their inputs are encoded again.", shard.path)
            return False
        except (OSError, pa.ArrowInvalid) as error:
            _LOG.warning("Stored features %s cannot be read: %s.", shard.path, error)
        _discard(shard.path)
        return False

    def _forget(self, numbers: "Sequence[int]") -> None:
        gone = {int(number) for number in numbers}
        self._shards = [shard for number, shard in enumerate(self._shards) if number not in gone]
        self._index = None

    def _open(self, path: Path) -> None:
        """Reads a shard's keys alone; its bytes are verified when its vectors are first used."""
        import pyarrow as pa

        try:
            with pa.memory_map(str(path)) as source:
                reader = pa.ipc.open_file(source)
                metadata = reader.schema.metadata or {}
                check_format(path, int(metadata.get(_FORMAT_KEY, b"1")), _FORMAT)
                batch = reader.get_batch(0)
                width = batch.schema.field("vector").type.list_size
                keys = _key_array(batch.column("key"))
            self._shards.append(_Shard(path, keys, width, float(metadata.get(_SECONDS, b"0"))))
        except FileNotFoundError:
            return
        except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError, IndexError):
            _discard(path)

    def _write(self, folder: Path, shard: _Shard) -> Path:
        import pyarrow as pa

        assert shard.vectors is not None
        flat = pa.array(shard.vectors.astype("float32", copy=False).reshape(-1))
        columns = {
            "key": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), len(shard.keys), [None, pa.py_buffer(shard.keys.tobytes())]
            ),
            "vector": pa.FixedSizeListArray.from_arrays(flat, shard.width),
        }
        batch = pa.record_batch(columns).replace_schema_metadata(
            {_SECONDS: f"{shard.seconds:.6f}", _FORMAT_KEY: str(_FORMAT)}
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        data = sink.getvalue()
        path = folder / (hashlib.sha256(data).hexdigest() + SUFFIX)
        with written_aside(path) as aside:
            aside.write_bytes(data)
        if not (folder / ABOUT).is_file():
            write_json(folder / ABOUT, {"format": _FORMAT, **self._about})
        return path


def _read_vectors(path: Path) -> "np.ndarray":
    """The vectors of a shard, mapped: float32 [n, width], read only."""
    import pyarrow as pa

    # Closed at once: the mapping stays, and a thousand shards need no thousand open files.
    with pa.memory_map(str(path)) as source:
        column = pa.ipc.open_file(source).get_batch(0).column("vector")
    vectors: np.ndarray = column.flatten().to_numpy().reshape(len(column), column.type.list_size)
    return vectors


def _key_array(column: Any) -> "np.ndarray":
    import numpy as np

    start = column.offset
    return np.frombuffer(column.buffers()[1], "S16")[start : start + len(column)].copy()


def _discard(path: Path) -> None:
    _LOG.warning("Stored features in %s are damaged: removed, their inputs are encoded again.", path)
    with suppress(OSError):
        path.unlink()
