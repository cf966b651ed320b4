"""A store of features on disk: each distinct input is encoded once for a given encoder.

One folder for each encoder fingerprint; in it immutable Arrow files, each named after the SHA-256 of its own
bytes, so that a changed byte is found on reading and two processes can add files at the same time.
"""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.files import sha256_of_file, written_aside

if TYPE_CHECKING:
    import numpy as np

_SUFFIX: Final = ".arrow"
_LOG = logging.getLogger(__name__)


def feature_key(*parts: bytes) -> bytes:
    """The 16-byte key of an input that consists of `parts` (a text; two texts; an image's pixels)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()[:16]


class FeatureStore:
    """The features of one encoder: float32 vectors of `width`, found by 16-byte keys."""

    def __init__(self, folder: Path | None, fingerprint: str, width: int) -> None:
        """Opens (or begins) the store of the encoder `fingerprint` below `folder`; None keeps it in memory.

        A file whose bytes do not match its name is removed with a warning: its inputs are encoded again.
        """
        self._folder = folder / fingerprint if folder else None
        self.width = width
        self._vectors: list[np.ndarray] = []
        self._position: dict[bytes, tuple[int, int]] = {}
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder else ():
            self._open(path)

    def __contains__(self, key: bytes) -> bool:
        return key in self._position

    def __len__(self) -> int:
        return len(self._position)

    def add(self, keys: Iterable[bytes], vectors: "np.ndarray") -> None:
        """Adds vectors, float32 [n, width], one for each key, as one file: whole or not at all."""
        keys = list(keys)
        if self._folder:
            self._open(self._write(self._folder, keys, vectors))
        else:
            self._index(keys, vectors)

    def take(self, keys: Iterable[bytes]) -> "np.ndarray":
        """The vectors of `keys`, float32 [n, width], in their order. Raises KeyError on an unknown key."""
        import numpy as np

        places = [self._position[key] for key in keys]
        vectors = np.empty((len(places), self.width), np.float32)
        for row, (file, position) in enumerate(places):
            vectors[row] = self._vectors[file][position]
        return vectors

    def _write(self, folder: Path, keys: list[bytes], vectors: "np.ndarray") -> Path:
        import pyarrow as pa

        flat = pa.array(vectors.astype("float32", copy=False).reshape(-1))
        table = pa.table(
            {
                "key": pa.array(keys, pa.binary(16)),
                "vector": pa.FixedSizeListArray.from_arrays(flat, self.width),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        path = folder / (hashlib.sha256(data).hexdigest() + _SUFFIX)
        with written_aside(path) as aside:
            aside.write_bytes(data)
        return path

    def _open(self, path: Path) -> None:
        import pyarrow as pa

        if sha256_of_file(path) != path.stem:
            _LOG.warning("Stored features in %s are damaged: removed, their inputs are encoded again.", path)
            path.unlink(missing_ok=True)
            return
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        vectors = table["vector"].chunk(0).flatten().to_numpy().reshape(-1, self.width)
        self._index(table["key"].to_pylist(), vectors)

    def _index(self, keys: list[bytes], vectors: "np.ndarray") -> None:
        file = len(self._vectors)
        self._vectors.append(vectors)
        self._position.update((key, (file, position)) for position, key in enumerate(keys))
