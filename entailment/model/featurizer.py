"""From rows to the inputs of the head: each distinct text and image is encoded once."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.configuration import Encoders, Inputs
from entailment.data.records import Row, read_rows
from entailment.encoders.feature_store import FeatureStore, feature_key

if TYPE_CHECKING:
    import numpy as np

    from entailment.encoders.image import ImageEncoder
    from entailment.encoders.text import TextEncoder

_POOL: Final = 1024
"""Rows read before what is new in them is encoded: bounds memory, enough to sort texts by length."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitFeatures:
    """One split, ready for the head."""

    inputs: "dict[str, np.ndarray]"
    """By input name of the head: float32 [n, width], zero where absent; `*_present` float32 [n, 1]."""
    labels: "np.ndarray"
    """int64 [n], positions in LABELS."""
    ids: list[tuple[str, str]]


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
        self._text, self._image, self._pair, self._store = text, image, pair, store
        self._progress = progress
        self._texts = self._text_store() if store and text else None
        self._images = self._image_store() if store and image else None

    def split(self, records: Path, split: str) -> SplitFeatures:
        """Features of every row of one split of a folder of records, in order."""
        import numpy as np

        start, parts, labels, ids = time.monotonic(), [], [], []
        for rows in _pools(read_rows(records, split)):
            parts.append(self.rows(rows))
            labels += [row.label for row in rows]
            ids += [row.ids for row in rows]
        inputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        _LOG.info("Features of %d %s rows in %.1f s.", len(ids), split, time.monotonic() - start)
        return SplitFeatures(inputs, np.array(labels, np.int64), ids)

    def rows(self, rows: Sequence[Row]) -> "dict[str, np.ndarray]":
        """Inputs of the head for some rows, in their order; names and shapes as in SplitFeatures."""
        inputs: dict[str, np.ndarray] = {}
        if self._text:
            inputs |= self._pair_inputs(rows) if self._pair else self._text_inputs(rows)
        if self._image:
            inputs |= self._image_inputs(rows)
        return inputs

    def _pair_inputs(self, rows: Sequence[Row]) -> "dict[str, np.ndarray]":
        assert self._text
        store = self._texts if self._texts is not None else self._text_store()
        keys = [
            feature_key(*(text.encode() for text in row.texts)) if all(row.texts) else None for row in rows
        ]
        new = _unseen(keys, store)
        if new:
            first, second = ([rows[i].texts[side] for i in new.values()] for side in (0, 1))
            store.add(new, self._text.encode_pairs(first, second, progress=self._progress))
        return _inputs("text", store, keys)

    def _text_inputs(self, rows: Sequence[Row]) -> "dict[str, np.ndarray]":
        assert self._text
        store = self._texts if self._texts is not None else self._text_store()
        texts = [row.texts[side] for side in (0, 1) for row in rows]
        keys = [feature_key(text.encode()) if text else None for text in texts]
        new = _unseen(keys, store)
        if new:
            store.add(new, self._text.encode([texts[i] for i in new.values()], progress=self._progress))
        return _inputs("text_1", store, keys[: len(rows)]) | _inputs("text_2", store, keys[len(rows) :])

    def _image_inputs(self, rows: Sequence[Row]) -> "dict[str, np.ndarray]":
        import numpy as np

        assert self._image
        store = self._images if self._images is not None else self._image_store()
        images = [row.images[side] for side in (0, 1) for row in rows]
        keys = [None if image is None else feature_key(image.tobytes()) for image in images]
        new = _unseen(keys, store)
        if new:
            pixels = np.stack([image for i in new.values() if (image := images[i]) is not None])
            store.add(new, self._image.encode(pixels, progress=self._progress))
        return _inputs("image_1", store, keys[: len(rows)]) | _inputs("image_2", store, keys[len(rows) :])

    def _text_store(self) -> FeatureStore:
        assert self._text
        kind = "pair" if self._pair else "each"
        return FeatureStore(self._store, f"text-{kind}-{self._text.fingerprint[:16]}", self._text.width)

    def _image_store(self) -> FeatureStore:
        assert self._image
        return FeatureStore(self._store, f"image-{self._image.fingerprint[:16]}", self._image.width)


def configured_featurizer(
    config: Encoders, inputs: Inputs, image_size: int, encoders: Path, store: Path
) -> Featurizer:
    """The featurizer of a training run: the encoders that `inputs` needs, found or built below `encoders`."""
    text = load_text_encoder(config, encoders) if inputs != "image" else None
    image = load_image_encoder(config, image_size, encoders) if inputs != "text" else None
    return Featurizer(text, image, pair=config.text.encode == "pair", store=store, progress=True)


def load_text_encoder(config: Encoders, folder: Path) -> "TextEncoder":
    """The configured text encoder."""
    from entailment.encoders.text import TextEncoder

    text = config.text
    return TextEncoder(text.encoder, text.preprocessor, folder, text.sequence_length, text.output)


def load_image_encoder(config: Encoders, size: int, folder: Path) -> "ImageEncoder":
    """The configured image encoder."""
    from entailment.encoders.image import ImageEncoder

    return ImageEncoder(config.image.encoder, folder, size)


def _unseen(keys: Sequence[bytes | None], store: FeatureStore) -> dict[bytes, int]:
    """For each key that the store lacks, the position of its first occurrence, in order."""
    unseen: dict[bytes, int] = {}
    for index, key in enumerate(keys):
        if key is not None and key not in store:
            unseen.setdefault(key, index)
    return unseen


def _inputs(name: str, store: FeatureStore, keys: Sequence[bytes | None]) -> "dict[str, np.ndarray]":
    import numpy as np

    present = np.array([key is not None for key in keys], bool)
    vectors = np.zeros((len(keys), store.width), np.float32)
    vectors[present] = store.take(key for key in keys if key is not None)
    return {name: vectors, f"{name}_present": present.astype(np.float32)[:, None]}


def _pools(rows: Iterator[Row]) -> Iterator[list[Row]]:
    pool: list[Row] = []
    for row in rows:
        pool.append(row)
        if len(pool) == _POOL:
            yield pool
            pool = []
    if pool:
        yield pool
