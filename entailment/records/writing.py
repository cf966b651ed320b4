"""Writing TFRecord files: texts and resized images, and the index of each split; whole or not at all."""

import errno
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.images import MAX_DECODED_BYTES, MissingImages
from entailment.data.image_paths import OK
from entailment.data.split import SPLIT_COLUMN
from entailment.errors import ImageError
from entailment.files import write_json, written_aside
from entailment.records.index import NO_KEY, IndexWriter, content_key
from entailment.records.manifest import FORMAT, IMAGE, IMAGE_PRESENT, MANIFEST, feature_spec, file_entry
from entailment.task import ID, IMAGE_PATH, IMAGE_STATUS, LABEL, LABEL_INDEX_COLUMN, LABELS, TEXT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_CHUNK: Final = 256
"""Rows whose images are held at once."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordsSpec:
    """What shapes the records have."""

    image_size: int
    max_pixels: int
    rows_per_shard: int
    missing: MissingImages
    with_images: bool
    max_decoded_bytes: int = MAX_DECODED_BYTES
    classes: tuple[str, ...] = LABELS


def write_records(frame: "pd.DataFrame", folder: Path, spec: RecordsSpec) -> dict[str, Any]:
    """Writes every split there is as sharded TFRecord files and a manifest; the folder appears whole or not at all.

    Args:
        frame: pairs with resolved image paths and the column `split`.
        folder: is replaced when there.
        spec: sizes and the policy for images that cannot be decoded.

    Returns:
        The manifest: counts, files with their sizes and SHA-256, the feature spec, images that failed.

    Raises:
        ImageError: an image cannot be decoded while the policy is `error`.
    """
    import numpy as np
    from tqdm import tqdm

    manifest: dict[str, Any] = {
        "format": FORMAT,
        "image_size": spec.image_size,
        "classes": list(spec.classes),
        "features": feature_spec(),
        "splits": {},
        "unreadable": [],
    }
    with written_aside(folder) as aside, tqdm(total=len(frame), unit="pair", desc="records") as bar:
        aside.mkdir()
        for split in frame[SPLIT_COLUMN].unique().tolist():
            rows = np.flatnonzero(frame[SPLIT_COLUMN] == split)
            shards = range(0, len(rows), spec.rows_per_shard)
            files = []
            with closing(IndexWriter(aside / f"{split}.index.arrow")) as index:
                for number, start in enumerate(shards):
                    name = f"{split}-{number:05d}-of-{len(shards):05d}.tfrecord"
                    shard = _taken(frame, rows[start : start + spec.rows_per_shard])
                    kept = _write_shard(aside / name, shard, spec, index, manifest["unreadable"])
                    files.append(file_entry(aside / name, kept))
                    bar.update(len(shard))
            kept = sum(f["rows"] for f in files)
            manifest["splits"][split] = {"rows": kept, "files": files, "index": file_entry(index.path, kept)}
        _check_rows_are_left(manifest)
        write_json(aside / MANIFEST, manifest)
    return manifest


def _check_rows_are_left(manifest: dict[str, Any]) -> None:
    for split, entry in manifest["splits"].items():
        if entry["rows"] == 0:
            raise ImageError(
                f"No row of the {split} split is left: the images of all of them cannot be decoded. Mend them or"
                " use --missing-images mask."
            )


def _taken(frame: "pd.DataFrame", rows: "np.ndarray") -> "pd.DataFrame":
    """Some rows, ascending; of a slice, because Arrow joins all pieces of a column before it takes rows of it."""
    taken: pd.DataFrame = frame.iloc[rows[0] : rows[-1] + 1].iloc[rows - rows[0]]
    return taken


def _write_shard(
    path: Path, rows: "pd.DataFrame", spec: RecordsSpec, index: IndexWriter, unreadable: list[list[str]]
) -> int:
    import tensorflow as tf

    kept = 0
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for start in range(0, len(rows), _CHUNK):
                for example in _examples(rows.iloc[start : start + _CHUNK], spec, index, unreadable):
                    writer.write(example)
                    kept += 1
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, error.message, str(path)) from None
    return kept


def _examples(
    chunk: "pd.DataFrame", spec: RecordsSpec, index: IndexWriter, unreadable: list[list[str]]
) -> list[bytes]:
    """The serialized examples of a chunk; its rows are added to the index."""
    images = [_resized_images(chunk, side, spec, unreadable) for side in (0, 1)]
    if spec.with_images and spec.missing == "drop":
        kept = [row for row in range(len(chunk)) if not _has_failed(chunk, images, row)]
        chunk, images = chunk.iloc[kept], [[side[row] for row in kept] for side in images]
    if chunk.empty:
        return []
    strings: dict[str, Sequence[bytes]] = {
        name: [value.encode() for value in chunk[name]] for name in (*ID, *TEXT)
    }
    integers: dict[str, Sequence[int]] = {LABEL: chunk[LABEL_INDEX_COLUMN].tolist()}
    keys: list[Sequence[bytes]] = [
        [content_key(value) if value else NO_KEY for value in strings[name]] for name in TEXT
    ]
    for side in (0, 1):
        pixels, image_keys = zip(*images[side], strict=True)
        strings[IMAGE[side]] = pixels
        integers[IMAGE_PRESENT[side]] = [int(bool(image)) for image in pixels]
        keys.append(image_keys)
    index.add([*(strings[name] for name in ID), integers[LABEL], *keys])
    return [_example(strings, integers, row) for row in range(len(chunk))]


def _example(
    strings: Mapping[str, Sequence[bytes]], integers: Mapping[str, Sequence[int]], row: int
) -> bytes:
    """One row as a serialized Example, the same bytes each time."""
    import tensorflow as tf

    example = tf.train.Example()
    for name, values in strings.items():
        example.features.feature[name].bytes_list.value.append(values[row])
    for name, numbers in integers.items():
        example.features.feature[name].int64_list.value.append(numbers[row])
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _has_failed(chunk: "pd.DataFrame", images: Sequence[Sequence[tuple[bytes, bytes]]], row: int) -> bool:
    """Whether an image of the row was found, but cannot be decoded."""
    return any(chunk[IMAGE_STATUS[side]].iloc[row] == OK and not images[side][row][0] for side in (0, 1))


def _resized_images(
    chunk: "pd.DataFrame", side: int, spec: RecordsSpec, unreadable: list[list[str]]
) -> list[tuple[bytes, bytes]]:
    """Each row's resized image as the bytes of its pixels, empty where there is none, and its key."""
    from entailment.data.images import decode_images

    if not spec.with_images:
        return [(b"", NO_KEY)] * len(chunk)
    paths = [
        path if status == OK else ""
        for path, status in zip(chunk[IMAGE_PATH[side]], chunk[IMAGE_STATUS[side]], strict=True)
    ]
    data = [_read(path) for path in paths]
    pixels, reasons = decode_images(data, spec.image_size, spec.max_pixels, spec.max_decoded_bytes)
    for path, reason in zip(paths, reasons, strict=True):
        if path and reason:
            _undecodable(path, reason, spec, unreadable)
    data = [b"" if reason else image.tobytes() for image, reason in zip(pixels, reasons, strict=True)]
    return [(image, content_key(image) if image else NO_KEY) for image in data]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:
        return b""


def _undecodable(path: str, reason: str, spec: RecordsSpec, unreadable: list[list[str]]) -> None:
    if spec.missing == "error":
        raise ImageError(
            f"The image {path} cannot be decoded: {reason}. Mend it or use --missing-images mask or drop."
        )
    _LOG.warning("The image %s cannot be decoded: %s.", path, reason)
    unreadable.append([Path(path).name, reason])
