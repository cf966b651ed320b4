"""Which stored features the rows of records have: written once, read without the encoders.

A folder with `<split>.arrow` for each split (ids, label, and for each input of the head the key of its vector in the
feature store), `manifest.json` over them, and `usage.json`, which tells what encoding them took. No vector is copied:
what is gone from the store is encoded again by whoever asks for it.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from entailment.encoders.feature_store import FeatureStore, Usage
from entailment.errors import DataError
from entailment.files import check_format, read_json, sha256_of_file, write_json
from entailment.model.features import Featurizer, SplitFeatures
from entailment.records.index import key_array, read_index
from entailment.records.manifest import read_manifest
from entailment.task import ID, LABEL

MANIFEST: Final = "manifest.json"
USAGE: Final = "usage.json"
_FORMAT: Final = 1
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureIndex:
    """A folder that `write_feature_index` wrote."""

    path: Path
    sha256: str
    """Of the manifest, which holds the hashes of the splits' files."""

    @classmethod
    def at(cls, path: Path) -> "FeatureIndex":
        """The index at `path`."""
        return cls(path, sha256_of_file(path / MANIFEST))

    def usage(self, run: str) -> Usage:
        """What the store was asked for in `run`: where another one wrote the index, nothing had to be encoded."""
        told = read_json(self.path / USAGE)
        written, usage = told.pop("run"), Usage(**told)
        if written == run:
            return usage
        return Usage(usage.hits + usage.misses, 0, usage.seconds_saved + usage.seconds_spent)


def write_feature_index(featurizer: Featurizer, records: Path, folder: Path, run: str = "") -> None:
    """Encodes what the featurizer's store lacks of every split of the records and writes the index into `folder`.

    `run` is what the run in which this happens is called.

    Raises:
        DataError: the records are damaged.
    """
    import pyarrow as pa

    manifest = read_manifest(records)
    columns: dict[str, dict[str, Any]] = {}
    splits: dict[str, dict[str, str]] = {}
    classes: tuple[str, ...] = ()
    for split in manifest["splits"]:
        index, features = read_index(records, split), featurizer.split(records, split)
        arrays = {name: pa.array(index.ids[name].tolist(), pa.string()) for name in ID}
        arrays[LABEL] = pa.array(index.labels)
        for name, (store, keys) in featurizer.keys(index).items():
            columns[name] = {"store": store, "width": features.inputs[name].shape[1]}
            data = pa.py_buffer(keys.tobytes())
            arrays[name] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(keys), [None, data])
        file = folder / f"{split}.arrow"
        batch = pa.record_batch(arrays)
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        splits[split] = {"file": file.name, "sha256": sha256_of_file(file)}
        classes = index.classes
    write_json(folder / USAGE, {"run": run, **asdict(featurizer.usage)})
    told = {"format": _FORMAT, "classes": list(classes), "columns": columns, "splits": splits}
    write_json(folder / MANIFEST, told)


class IndexedFeatures:
    """The features of a folder of records as an index tells them: what a `Featurizer` gives, without encoders."""

    def __init__(
        self, index: FeatureIndex, kinds: Collection[str], store: Path, featurizer: Callable[[], Featurizer]
    ) -> None:
        """`kinds` of input are those wanted; `featurizer` makes one that encodes what is gone."""
        self._index, self._kinds, self._store, self._make = index, kinds, store, featurizer
        self._featurizer: Featurizer | None = None
        self._stores: dict[str, FeatureStore] = {}
        self._manifest = read_json(index.path / MANIFEST)
        check_format(index.path / MANIFEST, self._manifest["format"], _FORMAT)

    @property
    def usage(self) -> Usage:
        """What a featurizer had to be asked for; what the index finds was counted when it was written."""
        return self._featurizer.usage if self._featurizer else Usage()

    def split(self, records: Path, split: str) -> SplitFeatures:
        """Features of every row of one split, in order; as `Featurizer.split`.

        Raises:
            DataError: the index is damaged, or the records are and must be read.
        """
        import numpy as np

        entry = self._manifest["splits"][split]
        file = self._index.path / entry["file"]
        if not file.is_file() or sha256_of_file(file) != entry["sha256"]:
            raise DataError(f"The index of features {file} is gone or damaged. Run again with --no-cache.")
        table = _read(file)
        inputs: dict[str, Any] = {}
        for name, column in self._manifest["columns"].items():
            if name.partition("_")[0] not in self._kinds:
                continue
            keys, store = key_array(table[name]), self._opened(column)
            if len(store.missing(keys)):
                _LOG.warning("Stored features of %s are gone: they are encoded again.", name)
                return self._encoding().split(records, split)
            inputs[name] = store.at(keys)
            inputs[f"{name}_present"] = (keys != b"").astype(np.float32)[:, None]
        ids = table.select(ID).to_pandas().astype("str")
        return SplitFeatures(
            inputs, np.array(table[LABEL]), ids, split, classes=tuple(self._manifest["classes"])
        )

    def _opened(self, column: dict[str, Any]) -> FeatureStore:
        name, width = column["store"], column["width"]
        if name not in self._stores:
            self._stores[name] = FeatureStore(self._store / name, lambda: int(width))
        return self._stores[name]

    def _encoding(self) -> Featurizer:
        self._featurizer = self._featurizer or self._make()
        return self._featurizer


def _read(file: Path) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()
