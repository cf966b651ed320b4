"""TFRecord files: texts, their tokens and resized images, written once, verified when read."""

import errno
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration import MissingImages
from entailment.data.schema import ID, IMAGE_PATH, IMAGE_STATUS, LABEL_INDEX_COLUMN, SPLITS, TEXT
from entailment.data.split import SPLIT_COLUMN
from entailment.errors import DataError, ImageError
from entailment.files import read_json, sha256_of_file, write_json, written_aside

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import tensorflow as tf

    from entailment.encoders.text import TextPacker

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_CHUNK: Final = 256
"""Rows whose images are held at once while writing."""
_TOKENS: Final = ("input_word_ids", "input_mask", "input_type_ids")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One pair as the encoders take it."""

    ids: tuple[str, str]
    texts: tuple[str, str]
    images: "tuple[np.ndarray | None, np.ndarray | None]"
    """uint8 [size, size, 3], None where the image is absent."""
    label: int


@dataclass(frozen=True)
class RecordsFolder:
    """A folder that `write_records` wrote."""

    path: Path
    sha256: str
    """Of the manifest, which holds the hashes of all files."""

    @classmethod
    def at(cls, path: Path) -> "RecordsFolder":
        """The folder at `path`."""
        return cls(path, records_hash(path))

    @property
    def image_size(self) -> int:
        """Height and width of the images, in pixels."""
        return int(read_manifest(self.path)["image_size"])


@dataclass(frozen=True)
class RecordsSpec:
    """What shapes the records have."""

    image_size: int
    max_pixels: int
    rows_per_shard: int
    missing: MissingImages
    with_images: bool


def write_records(
    frame: "pd.DataFrame", folder: Path, spec: RecordsSpec, text: "TextPacker | None"
) -> dict[str, Any]:
    """Writes every split as sharded TFRecord files and a manifest; the folder appears whole or not at all.

    Args:
        frame: pairs with resolved image paths and the column `split`.
        folder: is replaced when there.
        spec: sizes and the policy for images that cannot be decoded.
        text: gives token ids and masks of each text by itself (for encoders that are trained); None: left out.

    Returns:
        The manifest: counts, files with their sizes and SHA-256, the feature spec, images that failed.

    Raises:
        ImageError: an image cannot be decoded while the policy is `error`.
    """
    from tqdm import tqdm

    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "image_size": spec.image_size,
        "sequence_length": text.sequence_length if text else 0,
        "features": feature_spec(text.sequence_length if text else 0),
        "splits": {},
        "unreadable": [],
    }
    with written_aside(folder) as aside, tqdm(total=len(frame), unit="pair", desc="records") as bar:
        aside.mkdir()
        for split in SPLITS:
            rows = frame[frame[SPLIT_COLUMN] == split]
            shards = range(0, len(rows), spec.rows_per_shard)
            files = []
            for number, start in enumerate(shards):
                name = f"{split}-{number:05d}-of-{len(shards):05d}.tfrecord"
                shard = rows.iloc[start : start + spec.rows_per_shard]
                kept = _write_shard(aside / name, shard, spec, text, manifest["unreadable"])
                files.append(_file_entry(aside / name, kept))
                bar.update(len(shard))
            manifest["splits"][split] = {"rows": sum(f["rows"] for f in files), "files": files}
        _check_rows_are_left(manifest)
        write_json(aside / MANIFEST, manifest)
    return manifest


def read_rows(folder: Path, split: str) -> Iterator[Row]:
    """The rows of one split in the order they were written, its files verified first.

    Raises:
        DataError: a file is missing, cut or changed since it was written.
    """
    manifest = read_manifest(folder)
    size = manifest["image_size"]
    dataset = records_dataset(folder, split)
    for example in dataset.as_numpy_iterator():
        present = (bool(example["image_present_1"]), bool(example["image_present_2"]))
        first, second = (
            example[f"image_{side}"] if there else None for side, there in zip((1, 2), present, strict=True)
        )
        assert first is None or first.shape == (size, size, 3)
        yield Row(
            (example["id_1"].decode(), example["id_2"].decode()),
            (example["text_1"].decode(), example["text_2"].decode()),
            (first, second),
            int(example["label"]),
        )


def records_dataset(folder: Path, split: str) -> "tf.data.Dataset":
    """One split as a tf.data pipeline of parsed examples, images decoded to uint8 [size, size, 3].

    Raises:
        DataError: a file is missing, cut or changed since it was written.
    """
    import tensorflow as tf

    manifest = read_manifest(folder)
    verify_records(folder, split)
    size, length = manifest["image_size"], manifest["sequence_length"]
    files = [str(folder / entry["name"]) for entry in manifest["splits"][split]["files"]]

    def parse(serialized: "tf.Tensor") -> "dict[str, tf.Tensor]":
        example = tf.io.parse_single_example(serialized, _feature_spec(length))
        for name in ("image_1", "image_2"):
            png = example[name]
            example[name] = tf.cond(
                tf.strings.length(png) > 0,
                lambda png=png: tf.ensure_shape(tf.io.decode_png(png, channels=3), (size, size, 3)),
                lambda: tf.zeros((size, size, 3), tf.uint8),
            )
        return dict(example)

    return tf.data.TFRecordDataset(files).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(64)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of records. Raises DataError when it is absent, broken or of another format."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"The records in {folder} cannot be read ({error}). {_AGAIN}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise DataError(f"{path} is not of format {_FORMAT}. {_AGAIN}")
    return manifest


def verify_records(folder: Path, split: str) -> None:
    """Compares size and SHA-256 of each file of a split with the manifest. Raises DataError naming the file."""
    for entry in read_manifest(folder)["splits"][split]["files"]:
        path = folder / entry["name"]
        if not path.is_file():
            raise DataError(f"The record file {path} is gone. {_AGAIN}")
        if path.stat().st_size != entry["bytes"] or sha256_of_file(path) != entry["sha256"]:
            raise DataError(
                f"The record file {path} was changed since it was written (wrong SHA-256). {_AGAIN}"
            )


def records_hash(folder: Path) -> str:
    """Hexadecimal SHA-256 of the manifest, which holds the hashes of all files."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def feature_spec(length: int) -> dict[str, dict[str, Any]]:
    """Name, dtype and shape of each feature in an example; `length` tokens, 0: no tokens."""
    spec = _feature_spec(length)
    return {name: {"dtype": value.dtype.name, "shape": list(value.shape)} for name, value in spec.items()}


_AGAIN: Final = "Run again with --no-cache: it is written anew."


def _feature_spec(length: int) -> "dict[str, tf.io.FixedLenFeature]":
    import tensorflow as tf

    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (*ID, *TEXT, "image_1", "image_2")}
    spec |= {f"image_present_{side}": tf.io.FixedLenFeature([], tf.int64) for side in (1, 2)}
    spec["label"] = tf.io.FixedLenFeature([], tf.int64)
    if length:
        spec |= {f"{n}_{side}": tf.io.FixedLenFeature([length], tf.int64) for n in _TOKENS for side in (1, 2)}
    return spec


def _check_rows_are_left(manifest: dict[str, Any]) -> None:
    for split, entry in manifest["splits"].items():
        if entry["rows"] == 0:
            raise ImageError(
                f"No row of the {split} split is left: the images of all of them cannot be decoded. Mend them or"
                " use --missing-images mask."
            )


def _file_entry(path: Path, rows: int) -> dict[str, Any]:
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256_of_file(path)}


def _write_shard(
    path: Path,
    rows: "pd.DataFrame",
    spec: RecordsSpec,
    text: "TextPacker | None",
    unreadable: list[list[str]],
) -> int:
    import tensorflow as tf

    kept = 0
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for start in range(0, len(rows), _CHUNK):
                chunk = rows.iloc[start : start + _CHUNK]
                for example in _examples(chunk, spec, text, unreadable):
                    writer.write(example.SerializeToString(deterministic=True))
                    kept += 1
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, error.message, str(path)) from None
    return kept


def _examples(
    chunk: "pd.DataFrame", spec: RecordsSpec, text: "TextPacker | None", unreadable: list[list[str]]
) -> "Iterator[tf.train.Example]":
    sides = [_encoded_images(chunk, side, spec, unreadable) for side in (0, 1)]
    tokens = [_tokens(chunk[TEXT[side]].tolist(), text) for side in (0, 1)]
    columns = zip(*(chunk[name] for name in (*ID, *TEXT, LABEL_INDEX_COLUMN, *IMAGE_STATUS)), strict=True)
    for row, (id_1, id_2, text_1, text_2, label, *statuses) in enumerate(columns):
        images = [sides[side][row] for side in (0, 1)]
        failed = any(status == "ok" and not png for status, png in zip(statuses, images, strict=True))
        if spec.with_images and failed and spec.missing == "drop":
            continue
        strings = dict(zip((*ID, *TEXT), (id_1, id_2, text_1, text_2), strict=True))
        yield _example(
            {name: value.encode() for name, value in strings.items()}
            | {"image_1": images[0], "image_2": images[1]},
            {
                "label": [label],
                "image_present_1": [int(bool(images[0]))],
                "image_present_2": [int(bool(images[1]))],
            }
            | {f"{name}_{side + 1}": ids[row] for side in (0, 1) for name, ids in tokens[side].items()},
        )


def _example(strings: dict[str, bytes], integers: "dict[str, Any]") -> "tf.train.Example":
    import tensorflow as tf

    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in strings.items()
    }
    features |= {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=value)) for name, value in integers.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def _tokens(texts: Sequence[str], text: "TextPacker | None") -> "dict[str, np.ndarray]":
    if text is None:
        return {}
    return {name: tensor.numpy() for name, tensor in text.pack(texts).items()}


def _encoded_images(
    chunk: "pd.DataFrame", side: int, spec: RecordsSpec, unreadable: list[list[str]]
) -> list[bytes]:
    """PNG bytes of each row's resized image (lossless), empty where there is none."""
    import tensorflow as tf

    from entailment.data.images import decode_images

    if not spec.with_images:
        return [b""] * len(chunk)
    paths = [
        path if status == "ok" else ""
        for path, status in zip(chunk[IMAGE_PATH[side]], chunk[IMAGE_STATUS[side]], strict=True)
    ]
    data = [_read(path) for path in paths]
    pixels, reasons = decode_images(data, spec.image_size, spec.max_pixels)
    for path, reason in zip(paths, reasons, strict=True):
        if path and reason:
            _undecodable(path, reason, spec, unreadable)
    return [
        b"" if reason else tf.io.encode_png(image, compression=1).numpy()
        for image, reason in zip(pixels, reasons, strict=True)
    ]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:
        return b""


def _undecodable(path: str, reason: str, spec: RecordsSpec, unreadable: list[list[str]]) -> None:
    if spec.missing == "error":
        raise ImageError(
            f"The image {path} cannot be decoded: {reason}. Mend it or use --missing-images mask."
        )
    _LOG.warning("The image %s cannot be decoded: %s.", path, reason)
    unreadable.append([Path(path).name, reason])
