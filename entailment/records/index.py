"""The index beside the records of a split: who each row is, its label, and the keys of its texts and images."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.records.manifest import kinds_in, read_manifest, verify
from entailment.task import ID, LABEL, LABELS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

ABSENT: Final = b""
"""The key of an absent input in an index: numpy's S16 strips the zero bytes in the file."""
_KEY_BYTES: Final = 16
NO_KEY: Final = bytes(_KEY_BYTES)


@dataclass(frozen=True)
class RecordsIndex:
    """What is known of the rows of one split without reading them; one entry for each, in their order."""

    ids: "pd.DataFrame"
    """Columns id_1 and id_2, str."""
    labels: "np.ndarray"
    """int64 [n], class indices."""
    keys: "Mapping[str, np.ndarray]"
    """By kind of input S16 [n, 2]: `content_key` of what the records hold of each side, ABSENT where it is empty."""
    classes: tuple[str, ...] = LABELS
    """Their names, in the order of their indices."""

    def __len__(self) -> int:
        return len(self.labels)


def content_key(data: bytes) -> bytes:
    """16 bytes that stand for what the records hold of an input: a truncated SHA-256 of length and data."""
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
    keys = {
        kind: np.stack([key_array(table[name]) for name in key_columns(kind)], axis=1)
        for kind in kinds_in(manifest)
    }
    return RecordsIndex(
        table.select(ID).to_pandas().astype("str"),
        np.array(table[LABEL]),
        keys,
        tuple(manifest.get("classes", LABELS)),
    )


def pairs_in_order(ids: "pd.DataFrame", pairs: "pd.DataFrame") -> "pd.DataFrame":
    """The pairs that `ids` names (columns id_1 and id_2), in its order; of equal pairs the first.

    Raises ValueError where `pairs` lacks one of them.
    """
    near = pairs[pairs[ID[0]].isin(ids[ID[0]])]  # of a large table few rows are handled for few ids
    found = ids[list(ID)].merge(near.drop_duplicates(list(ID)), on=list(ID), how="left", indicator=True)
    if (lacking := found["_merge"] != "both").any():
        first = tuple(found.loc[lacking, list(ID)].iloc[0])
        raise ValueError(f"pairs must hold every pair that is asked for. Received none for {first}")
    return found.drop(columns="_merge")


class IndexWriter:
    """Writes an index batch by batch."""

    def __init__(self, path: Path, kinds: Sequence[str]) -> None:
        """Begins the file `path` for rows with these kinds of input."""
        import pyarrow as pa

        fields = [(name, pa.string()) for name in ID] + [(LABEL, pa.int64())]
        fields += [(name, pa.binary(_KEY_BYTES)) for kind in kinds for name in key_columns(kind)]
        self.path, self._schema = path, pa.schema(fields)
        self._writer = pa.ipc.new_file(path, self._schema)

    def add(self, columns: Sequence[Sequence[bytes] | Sequence[int]]) -> None:
        """Adds rows, given as the values of each column: ids, label, and the keys of each kind's two sides."""
        import pyarrow as pa

        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()


def key_columns(kind: str) -> tuple[str, str]:
    """The columns of an index that hold the keys of a kind of input."""
    return f"{kind}_key_1", f"{kind}_key_2"


def key_array(column: "pa.ChunkedArray") -> "np.ndarray":
    """A column of keys, fixed-size binary, as S16 [n]."""
    import numpy as np

    parts = [
        np.frombuffer(chunk.buffers()[1], "S16")[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
    ]
    return np.concatenate([np.empty(0, "S16"), *parts])
