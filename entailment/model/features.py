"""From rows to the inputs of the head: each distinct text and image is encoded once."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.encoders import Encoders
from entailment.configuration.task import Inputs
from entailment.encoders.feature_store import FeatureStore, StoredFeatures, Usage
from entailment.records.index import RecordsIndex, content_key, read_index
from entailment.records.reading import Row, read_rows
from entailment.task import LABELS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from entailment.encoders.image import ImageEncoder
    from entailment.encoders.text import TextEncoder

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
    """Encodes rows with the encoders it is given."""

    def __init__(
        self,
        text: "TextEncoder | None",
        image: "ImageEncoder | None",
        *,
        pair: bool,
        store: Path | None,
        progress: bool = False,
    ) -> None:
        """Keeps what it encodes below the folder `store`, or only for one call where that is None.

        `pair` packs both texts as one input of the text encoder, as the Keras example does.
        """
        self._channels: list[_Channel] = []
        if text:
            self._channels.append(_PairChannel(text, progress) if pair else _TextChannel(text, progress))
        if image:
            self._channels.append(_ImageChannel(image, progress))
        self._stores = [channel.store(store) for channel in self._channels] if store else None

    @property
    def usage(self) -> Usage:
        """What the stores were asked for so far, all encoders together."""
        return sum((store.usage for store in self._stores or ()), Usage())

    @property
    def store_keys(self) -> dict[str, str]:
        """By kind of input the name of the folder in a store that has its encoder's features."""
        return {channel.kind: channel.key for channel in self._channels}

    def keys(self, index: RecordsIndex) -> "dict[str, tuple[str, np.ndarray]]":
        """By input of the head the folder in a store and the key there, S16 [n], of each row's vector."""
        return {
            name: (channel.key, channel.keys(index)[:, side])
            for channel in self._channels
            for side, name in enumerate(channel.names)
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

    def _inputs(
        self, index: RecordsIndex, read: "Callable[[np.ndarray], Iterable[Row]]"
    ) -> "dict[str, np.ndarray | StoredFeatures]":
        """Encodes what the stores lack, reading each row that holds some of it once, and looks all up."""
        import numpy as np

        if not self._channels:
            return {}
        stores = self._stores or [channel.store(None) for channel in self._channels]
        keys = [channel.keys(index) for channel in self._channels]
        wanted = [store.missing(key.reshape(-1)) for store, key in zip(stores, keys, strict=True)]
        pools = [
            _Pool(channel, store, key, new)
            for channel, store, key, new in zip(self._channels, stores, keys, wanted, strict=True)
        ]
        numbers = np.unique(np.concatenate([pool.rows for pool in pools]))
        for number, row in zip(numbers.tolist(), read(numbers) if len(numbers) else (), strict=True):
            for pool in pools:
                pool.offer(number, row)
        inputs: dict[str, np.ndarray | StoredFeatures] = {}
        for pool, store, key, channel in zip(pools, stores, keys, self._channels, strict=True):
            pool.encode()
            for side, name in enumerate(channel.names):
                inputs[name] = store.at(key[:, side])
                inputs[f"{name}_present"] = (key[:, side] != b"").astype(np.float32)[:, None]
        return inputs


class _Channel:
    """One kind of input: its names in the head, its keys, and how it is encoded."""

    names: tuple[str, ...]
    kind: str

    def __init__(self, encoder: Any, progress: bool) -> None:
        self.encoder, self.progress = encoder, progress

    @property
    def at_once(self) -> int:
        """How many inputs are encoded and stored together."""
        return min(_INPUTS_AT_ONCE, max(1, int(_BYTES_AT_ONCE // (4 * self.encoder.width))))

    @property
    def key(self) -> str:
        """The name of its folder in a store."""
        return f"{self.kind}-{self.encoder.fingerprint[:16]}"

    def store(self, folder: Path | None) -> FeatureStore:
        fingerprint = self.encoder.fingerprint
        about = {"inputs": self.kind, "encoder": self.encoder.handle, "fingerprint": fingerprint}
        return FeatureStore(folder / self.key if folder else None, lambda: self.encoder.width, about)

    def keys(self, index: RecordsIndex) -> "np.ndarray":
        """S16 [n, len(names)], empty where absent."""
        raise NotImplementedError

    def values(self, row: Row) -> Sequence[Any]:
        """What is encoded of a row, one value for each name."""
        raise NotImplementedError

    def encode(self, values: Sequence[Any]) -> "np.ndarray":
        """float32 [n, width of the encoder]."""
        raise NotImplementedError


class _TextChannel(_Channel):
    names, kind = ("text_1", "text_2"), "text-each"

    def keys(self, index: RecordsIndex) -> "np.ndarray":
        return index.texts

    def values(self, row: Row) -> Sequence[str]:
        return row.texts

    def encode(self, values: Sequence[str]) -> "np.ndarray":
        vectors: np.ndarray = self.encoder.encode(values, progress=self.progress)
        return vectors


class _PairChannel(_Channel):
    names, kind = ("text",), "text-pair"

    def keys(self, index: RecordsIndex) -> "np.ndarray":
        import numpy as np

        both = np.flatnonzero((index.texts != b"").all(axis=1))
        keys = np.zeros((len(index), 1), "S16")
        keys[both, 0] = [content_key(index.texts[row].tobytes()) for row in both]
        return keys

    def values(self, row: Row) -> Sequence[tuple[str, str]]:
        return (row.texts,)

    def encode(self, values: Sequence[tuple[str, str]]) -> "np.ndarray":
        first, second = zip(*values, strict=True)
        vectors: np.ndarray = self.encoder.encode_pairs(first, second, progress=self.progress)
        return vectors


class _ImageChannel(_Channel):
    names, kind = ("image_1", "image_2"), "image"

    @property
    def at_once(self) -> int:
        return min(super().at_once, max(1, int(_BYTES_AT_ONCE // (3 * self.encoder.size**2))))

    def keys(self, index: RecordsIndex) -> "np.ndarray":
        return index.images

    def values(self, row: Row) -> "Sequence[np.ndarray | None]":
        return row.images

    def encode(self, values: "Sequence[np.ndarray]") -> "np.ndarray":
        import numpy as np

        vectors: np.ndarray = self.encoder.encode(np.stack(values), progress=self.progress)
        return vectors


class _Pool:
    """Gathers new inputs of one kind and encodes them when there are enough for a shard."""

    def __init__(self, channel: _Channel, store: FeatureStore, keys: "np.ndarray", new: "np.ndarray") -> None:
        """`new` are the positions in the flat `keys` whose inputs are to be encoded."""
        import numpy as np

        self._channel, self._store, self._keys = channel, store, keys
        self._wanted = np.zeros(keys.shape, bool)
        self._wanted.reshape(-1)[new] = True
        self.rows = new // keys.shape[1]
        self._places: list[tuple[int, int]] = []
        self._values: list[Any] = []

    def offer(self, number: int, row: Row) -> None:
        """Takes from a row what is wanted of it."""
        if not self._wanted[number].any():
            return
        for side, value in enumerate(self._channel.values(row)):
            if self._wanted[number, side]:
                self._places.append((number, side))
                self._values.append(value)
        if len(self._values) >= self._channel.at_once:
            self.encode()

    def encode(self) -> None:
        """Encodes and stores what was gathered."""
        if not self._values:
            return
        start = time.monotonic()
        vectors = self._channel.encode(self._values)
        rows, sides = zip(*self._places, strict=True)
        self._store.add(self._keys[list(rows), list(sides)], vectors, time.monotonic() - start)
        self._places, self._values = [], []


def configured_featurizer(
    config: Encoders, inputs: Inputs, image_size: int, folder: Path, store: Path | None
) -> Featurizer:
    """The featurizer of a training: of the encoders that `inputs` needs and that are not trained.

    They are found or built in `folder`; what they give is kept below `store`.
    """
    frozen = config.handles(inputs).keys() - config.trained(inputs).keys()
    text = load_text_encoder(config, folder) if "text" in frozen else None
    image = load_image_encoder(config, image_size, folder) if "image" in frozen else None
    return Featurizer(text, image, pair=config.text.encode == "pair", store=store, progress=True)


def load_text_encoder(config: Encoders, folder: Path) -> "TextEncoder":
    """The configured text encoder."""
    from entailment.encoders.text import TextEncoder

    text = config.text
    return TextEncoder(
        text.encoder,
        text.preprocessor,
        folder,
        text.sequence_length,
        text.output,
    )


def load_image_encoder(config: Encoders, size: int, folder: Path) -> "ImageEncoder":
    """The configured image encoder."""
    from entailment.encoders.image import ImageEncoder

    return ImageEncoder(config.image.encoder, folder, size)


def _index_of(rows: Sequence[Row]) -> RecordsIndex:
    """What `read_index` gives for records, of rows at hand."""
    import numpy as np
    import pandas as pd

    texts = [[content_key(text.encode()) if text else b"" for text in row.texts] for row in rows]
    images = [
        [b"" if image is None else content_key(image.tobytes()) for image in row.images] for row in rows
    ]
    return RecordsIndex(
        pd.DataFrame([row.ids for row in rows], columns=["id_1", "id_2"], dtype="str"),
        np.array([row.label for row in rows], np.int64),
        np.array(texts, "S16").reshape(len(rows), 2),
        np.array(images, "S16").reshape(len(rows), 2),
    )
