"""From rows to the inputs of the head: each distinct text and image is encoded once."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.inputs import InputsConfiguration
from entailment.encoders.feature_store import FeatureStore, StoredFeatures, Usage
from entailment.inputs import kind_named
from entailment.inputs.kind import Channel
from entailment.records.index import RecordsIndex, content_key, read_index
from entailment.records.reading import Row, read_rows
from entailment.task import LABELS, columns_of, kinds_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_INPUTS_AT_ONCE: Final = 4096
"""At most, in one shard of the store: enough to sort texts by length, little to lose when the process is killed."""
_BYTES_AT_ONCE: Final = 2**26
"""Bytes of the decoded images, or of the vectors, in one shard: bounds what is held whole."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitFeatures:
    """One split, ready for the head."""

    inputs: "Mapping[str, np.ndarray | StoredFeatures]"
    """By input name of the head: float32 [n, width], zero where absent; `*_present` float32 [n, 1].

    Both kinds give the same for `[rows]` and have a shape; stored ones are read when they are taken.
    """
    labels: "np.ndarray"
    """int64 [n], class indices."""
    ids: "pd.DataFrame"
    """Columns id_1 and id_2."""
    split: str = ""
    """The split of the records that the rows are of; "" where they are of none."""
    rows: "np.ndarray | None" = None
    """int64 [n]: positions of the rows in that split, ascending; None: all of it."""
    classes: tuple[str, ...] = LABELS
    """Their names, in the order of their indices."""

    def take(self, rows: "np.ndarray | slice") -> "dict[str, np.ndarray]":
        """The inputs of some rows, in their order."""
        return {name: column[rows] for name, column in self.inputs.items()}

    def select(self, rows: "np.ndarray") -> "SplitFeatures":
        """Some rows, int [k] ascending, as a split of their own; stored features are still not read."""
        inputs = {
            name: column.select(rows) if isinstance(column, StoredFeatures) else column[rows]
            for name, column in self.inputs.items()
        }
        ids = self.ids.iloc[rows].reset_index(drop=True)
        rows_of_split = rows if self.rows is None else self.rows[rows]
        return SplitFeatures(inputs, self.labels[rows], ids, self.split, rows_of_split, self.classes)


class Featurizer:
    """Encodes rows with the encoders of the channels it is given."""

    def __init__(self, channels: Sequence[Channel], *, store: Path | None, progress: bool = False) -> None:
        """Keeps what it encodes below the folder `store`, or only for one call where that is None.

        Kinds of input that the rows do not have are passed over.
        """
        self._channels, self._progress = list(channels), progress
        self._stores = {channel.kind: _store(channel, store) for channel in self._channels} if store else None

    @property
    def usage(self) -> Usage:
        """What the stores were asked for so far, all encoders together."""
        return sum((store.usage for store in (self._stores or {}).values()), Usage())

    @property
    def store_keys(self) -> dict[str, str]:
        """By kind of input the name of the folder in a store that has its encoder's features."""
        return {channel.store: _folder(channel) for channel in self._channels}

    def keys(self, index: RecordsIndex) -> "dict[str, tuple[str, np.ndarray]]":
        """By input of the head the folder in a store and the key there, S16 [n], of each row's vector."""
        return {
            name: (_folder(channel), _keys(channel, index)[:, side])
            for channel in self._of(index)
            for side, name in enumerate(_names(channel))
        }

    def split(self, records: Path, split: str) -> SplitFeatures:
        """Features of every row of one split of a folder of records, in order; only new inputs are encoded."""
        start, before = time.monotonic(), self.usage
        index = read_index(records, split)
        inputs = self._inputs(index, lambda rows: read_rows(records, split, rows))
        after = self.usage
        _LOG.info(
            "Features of %d %s rows: %d taken from the store (saves %.0f s), %d encoded; %.1f s.",
            len(index),
            split,
            after.hits - before.hits,
            after.seconds_saved - before.seconds_saved,
            after.misses - before.misses,
            time.monotonic() - start,
        )
        return SplitFeatures(inputs, index.labels, index.ids, split, classes=index.classes)

    def rows(self, rows: Sequence[Row]) -> "dict[str, np.ndarray]":
        """Inputs of the head for some rows, in their order; names and shapes as in SplitFeatures."""
        inputs = self._inputs(_index_of(rows), lambda numbers: [rows[number] for number in numbers])
        return {name: column[:] for name, column in inputs.items()}

    def _of(self, index: RecordsIndex) -> list[Channel]:
        """The channels of the kinds of input that the rows have."""
        return [channel for channel in self._channels if channel.kind in index.keys]

    def _inputs(
        self, index: RecordsIndex, read: "Callable[[np.ndarray], Iterable[Row]]"
    ) -> "dict[str, np.ndarray | StoredFeatures]":
        """Encodes what the stores lack, reading each row that holds some of it once, and looks all up."""
        import numpy as np

        channels = self._of(index)
        if not channels:
            return {}
        stores = [self._stores[c.kind] if self._stores else _store(c, None) for c in channels]
        keys = [_keys(channel, index) for channel in channels]
        wanted = [store.missing(key.reshape(-1)) for store, key in zip(stores, keys, strict=True)]
        pools = [
            _Pool(channel, store, key, new, self._progress)
            for channel, store, key, new in zip(channels, stores, keys, wanted, strict=True)
        ]
        numbers = np.unique(np.concatenate([pool.rows for pool in pools]))
        for number, row in zip(numbers.tolist(), read(numbers) if len(numbers) else (), strict=True):
            for pool in pools:
                pool.offer(number, row)
        inputs: dict[str, np.ndarray | StoredFeatures] = {}
        for pool, store, key, channel in zip(pools, stores, keys, channels, strict=True):
            pool.encode()
            for side, name in enumerate(_names(channel)):
                inputs[name] = store.at(key[:, side])
                inputs[f"{name}_present"] = (key[:, side] != b"").astype(np.float32)[:, None]
        return inputs


def _names(channel: Channel) -> tuple[str, ...]:
    """What the inputs of the head are called."""
    return (channel.kind,) if channel.pair else columns_of(channel.kind)


def _at_once(channel: Channel) -> int:
    """How many inputs are encoded and stored together."""
    largest = max(4 * channel.encoder.width, channel.value_bytes)
    return min(_INPUTS_AT_ONCE, max(1, _BYTES_AT_ONCE // largest))


def _folder(channel: Channel) -> str:
    """The name of its folder in a store."""
    return f"{channel.store}-{channel.encoder.fingerprint[:16]}"


def _store(channel: Channel, folder: Path | None) -> FeatureStore:
    encoder = channel.encoder
    about = {"inputs": channel.store, "encoder": encoder.handle, "fingerprint": encoder.fingerprint}
    return FeatureStore(folder / _folder(channel) if folder else None, lambda: encoder.width, about)


def _keys(channel: Channel, index: RecordsIndex) -> "np.ndarray":
    """S16 [n, number of names], empty where absent."""
    import numpy as np

    sides = index.keys[channel.kind]
    if not channel.pair:
        return sides
    both = np.flatnonzero((sides != b"").all(axis=1))
    keys = np.zeros((len(index), 1), "S16")
    keys[both, 0] = [content_key(sides[row].tobytes()) for row in both]
    return keys


class _Pool:
    """Gathers new inputs of one kind and encodes them when there are enough for a shard."""

    def __init__(
        self, channel: Channel, store: FeatureStore, keys: "np.ndarray", new: "np.ndarray", progress: bool
    ) -> None:
        """`new` are the positions in the flat `keys` whose inputs are to be encoded."""
        import numpy as np

        self._channel, self._store, self._keys, self._progress = channel, store, keys, progress
        self._wanted = np.zeros(keys.shape, bool)
        self._wanted.reshape(-1)[new] = True
        self.rows = new // keys.shape[1]
        self._places: list[tuple[int, int]] = []
        self._values: list[Any] = []

    def offer(self, number: int, row: Row) -> None:
        """Takes from a row what is wanted of it."""
        if not self._wanted[number].any():
            return
        values = row.values[self._channel.kind]
        for side, value in enumerate([values] if self._channel.pair else values):
            if self._wanted[number, side]:
                self._places.append((number, side))
                self._values.append(value)
        if len(self._values) >= _at_once(self._channel):
            self.encode()

    def encode(self) -> None:
        """Encodes and stores what was gathered."""
        if not self._values:
            return
        start = time.monotonic()
        vectors = self._channel.encode(self._values, self._progress)
        rows, sides = zip(*self._places, strict=True)
        self._store.add(self._keys[list(rows), list(sides)], vectors, time.monotonic() - start)
        self._places, self._values = [], []


def feature_folders(config: InputsConfiguration, folder: Path) -> Iterator[str]:
    """The folders in a store that have the features of `configured_featurizer`'s encoders."""
    yield from configured_featurizer(config, folder, None).store_keys.values()


def configured_featurizer(config: InputsConfiguration, folder: Path, store: Path | None) -> Featurizer:
    """The featurizer of a training: of the encoders that the model needs and that are not trained.

    They are found or built in `folder`; what they give is kept below `store`.
    """
    frozen = [name for name in kinds_of(config.inputs) if name not in config.encoders.trained(config.inputs)]
    channels = [kind_named(name).channel(config, folder) for name in frozen]
    return Featurizer(channels, store=store, progress=True)


def _index_of(rows: Sequence[Row]) -> RecordsIndex:
    """What `read_index` gives for records, of rows at hand."""
    import numpy as np
    import pandas as pd

    keys = {
        name: np.array(
            [
                [content_key(data) if (data := kind_named(name).data(v)) else b"" for v in row.values[name]]
                for row in rows
            ],
            "S16",
        ).reshape(len(rows), 2)
        for name in (rows[0].values if rows else ())
    }
    return RecordsIndex(
        pd.DataFrame([row.ids for row in rows], columns=["id_1", "id_2"], dtype="str"),
        np.array([row.label for row in rows], np.int64),
        keys,
    )
