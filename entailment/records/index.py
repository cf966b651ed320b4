"""The index beside the records of a split: who each row is, its label, and the keys of its texts and images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.records.manifest import read_manifest, verify
from entailment.task import ID, LABEL, LABELS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

ABSENT: Final = b""
"""The key of an empty text or an absent image in an index: numpy's S16 strips the zero bytes in the file."""
_KEY_BYTES: Final = 16
NO_KEY: Final = bytes(_KEY_BYTES)
_TEXT_KEY: Final = ("text_key_1", "text_key_2")
_IMAGE_KEY: Final = ("image_key_1", "image_key_2")


@dataclass(frozen=True)
class RecordsIndex:
    """What is known of the rows of one split without reading them; one entry for each, in their order."""

    ids: "pd.DataFrame"
    """Columns id_1 and id_2, str."""
    labels: "np.ndarray"
    """int64 [n], class indices."""
    texts: "np.ndarray"
    """S16 [n, 2]: `content_key` of each text's UTF-8 bytes, ABSENT where it is empty."""
    images: "np.ndarray"
    """S16 [n, 2]: `content_key` of each resized image's bytes, ABSENT where there is none."""
    classes: tuple[str, ...] = LABELS
    """Their names, in the order of their indices."""

    def __len__(self) -> int:
        return len(self.labels)


def content_key(data: bytes) -> bytes:
    """16 bytes that stand for a text's UTF-8 bytes or an image's pixels: a truncated SHA-256 of length and data."""
    return hashlib.sha256(len(data).to_bytes(8, "little") + data).digest()[:_KEY_BYTES]


def read_index(folder: Path, split: str) -> RecordsIndex:
    """The index of one split, its file verified first.

    Raises:
        DataError: the file is missing, cut or changed since it was written.
    """
    import numpy as np
    import pyarrow as pa

    manifest = read_manifest(folder)
    entry = manifest["splits"][split]["index"]
    verify(folder, [entry])
    with pa.memory_map(str(folder / entry["name"])) as source:
        table = pa.ipc.open_file(source).read_all()
    keys = [key_array(table[name]) for name in (*_TEXT_KEY, *_IMAGE_KEY)]
    return RecordsIndex(
        table.select(ID).to_pandas().astype("str"),
        np.array(table[LABEL]),
        np.stack(keys[:2], axis=1),
        np.stack(keys[2:], axis=1),
        tuple(manifest.get("classes", LABELS)),
    )


class IndexWriter:
    """Writes an index batch by batch."""

    def __init__(self, path: Path) -> None:
        """Begins the file `path`."""
        import pyarrow as pa

        fields = [(name, pa.string()) for name in ID] + [(LABEL, pa.int64())]
        fields += [(name, pa.binary(_KEY_BYTES)) for name in (*_TEXT_KEY, *_IMAGE_KEY)]
        self.path, self._schema = path, pa.schema(fields)
        self._writer = pa.ipc.new_file(path, self._schema)

    def add(self, columns: Sequence[Sequence[bytes] | Sequence[int]]) -> None:
        """Adds rows, given as the values of each column."""
        import pyarrow as pa

        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()


def key_array(column: "pa.ChunkedArray") -> "np.ndarray":
    """A column of keys, fixed-size binary, as S16 [n]."""
    import numpy as np

    parts = [
        np.frombuffer(chunk.buffers()[1], "S16")[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
    ]
    return np.concatenate([np.empty(0, "S16"), *parts])
