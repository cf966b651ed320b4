"""TFRecord files: texts and resized images, written once, verified when read.

Beside the files of each split lies its index: who each row is, its label, and the key of each text and image, so
that what is known already need not be read.
"""

import errno
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.images import MAX_DECODED_BYTES, MissingImages
from entailment.data.image_paths import OK
from entailment.data.split import SPLIT_COLUMN
from entailment.errors import DataError, ImageError
from entailment.files import check_format, read_json, sha256_of_file, write_json, written_aside
from entailment.task import ID, IMAGE_PATH, IMAGE_STATUS, LABEL, LABEL_INDEX_COLUMN, LABELS, TEXT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import tensorflow as tf

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 4
_RAW_PIXELS: Final = 4
"""The first format that holds images as their pixels: packing them as PNG took longer than decoding the files."""
_OLDEST_FORMAT: Final = 2
"""Its examples also hold token ids, which nothing reads."""
_CHUNK: Final = 256
"""Rows whose images are held at once while writing; examples parsed at once while reading."""
_FILES_AT_ONCE: Final = 16
"""Files that a shuffled split is read from in turn."""
_SHUFFLED_BYTES: Final = 2**27
"""Records among which the next one of a shuffled split is drawn: as many as fit in this."""
ABSENT: Final = b""
"""The key of an empty text or an absent image in an index: numpy's S16 strips the zero bytes in the file."""
IMAGE: Final = ("image_1", "image_2")
IMAGE_PRESENT: Final = ("image_present_1", "image_present_2")
ROW: Final = "row"
_KEY_BYTES: Final = 16
_NO_KEY: Final = bytes(_KEY_BYTES)
_TEXT_KEY: Final = ("text_key_1", "text_key_2")
_IMAGE_KEY: Final = ("image_key_1", "image_key_2")
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
    max_decoded_bytes: int = MAX_DECODED_BYTES
    classes: tuple[str, ...] = LABELS


def content_key(data: bytes) -> bytes:
    """16 bytes that stand for a text's UTF-8 bytes or an image's pixels: a truncated SHA-256 of length and data."""
    return hashlib.sha256(len(data).to_bytes(8, "little") + data).digest()[:_KEY_BYTES]


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
        "format": _FORMAT,
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
            with closing(_IndexWriter(aside / f"{split}.index.arrow")) as index:
                for number, start in enumerate(shards):
                    name = f"{split}-{number:05d}-of-{len(shards):05d}.tfrecord"
                    shard = _taken(frame, rows[start : start + spec.rows_per_shard])
                    kept = _write_shard(aside / name, shard, spec, index, manifest["unreadable"])
                    files.append(_file_entry(aside / name, kept))
                    bar.update(len(shard))
            kept = sum(f["rows"] for f in files)
            manifest["splits"][split] = {"rows": kept, "files": files, "index": _file_entry(index.path, kept)}
        _check_rows_are_left(manifest)
        write_json(aside / MANIFEST, manifest)
    return manifest


def read_index(folder: Path, split: str) -> RecordsIndex:
    """The index of one split, its file verified first.

    Raises:
        DataError: the file is missing, cut or changed since it was written.
    """
    import numpy as np
    import pyarrow as pa

    manifest = read_manifest(folder)
    entry = manifest["splits"][split]["index"]
    _verify(folder, [entry])
    with pa.memory_map(str(folder / entry["name"])) as source:
        table = pa.ipc.open_file(source).read_all()
    keys = [
        np.concatenate([np.empty(0, "S16"), *map(_key_array, table[name].chunks)])
        for name in (*_TEXT_KEY, *_IMAGE_KEY)
    ]
    return RecordsIndex(
        table.select(ID).to_pandas().astype("str"),
        np.array(table[LABEL]),
        np.stack(keys[:2], axis=1),
        np.stack(keys[2:], axis=1),
        tuple(manifest.get("classes", LABELS)),
    )


def read_rows(folder: Path, split: str, rows: "np.ndarray | None" = None) -> Iterator[Row]:
    """The rows of one split in the order they were written, the files verified first.

    `rows`, int [k] ascending, are the positions of those that are wanted, all if not given; only files that hold
    some of them are opened.

    Raises:
        DataError: a file is missing, cut or changed since it was written.
    """
    import numpy as np
    import tensorflow as tf

    manifest = read_manifest(folder)
    entries = manifest["splits"][split]["files"]
    wanted = np.full(manifest["splits"][split]["rows"], rows is None)
    if rows is not None:
        wanted[rows] = True
    ends = np.cumsum([entry["rows"] for entry in entries])
    parts = np.split(wanted, ends[:-1])
    held = [number for number, part in enumerate(parts) if part.any()]
    if not held:
        return
    files = [entries[number] for number in held]
    _verify(folder, files)
    pixels = _pixels_reader(manifest)
    dataset = tf.data.TFRecordDataset([str(folder / entry["name"]) for entry in files])
    if rows is not None:
        mask = tf.data.Dataset.from_tensor_slices(np.concatenate([parts[number] for number in held]))
        dataset = (
            tf.data.Dataset.zip(dataset, mask).filter(lambda _, keep: keep).map(lambda record, _: record)
        )
    spec = _feature_spec()
    batches = dataset.batch(_CHUNK).map(lambda records: tf.io.parse_example(records, spec)).prefetch(1)
    for batch in batches.as_numpy_iterator():
        yield from _rows_of(batch, pixels)


def records_dataset(
    folder: Path,
    split: str,
    shuffle_seed: int | None = None,
    *,
    rows: "np.ndarray | None" = None,
    with_images: bool = True,
) -> "tf.data.Dataset":
    """One split as a tf.data pipeline of parsed examples, images as uint8 [size, size, 3] or left out.

    Each example also has `row`, its position in the split's index; `rows`, int [k], are the positions of those that
    are wanted, all if not given.

    Without a seed in the order of writing. With one, for training: files read in turn, examples shuffled within what
    128 MiB hold; another order in each pass over the same dataset, the same in every run (and `tf.random.set_seed`).

    Raises:
        DataError: a file is missing, cut or changed since it was written.
    """
    import tensorflow as tf

    manifest = read_manifest(folder)
    entries = manifest["splits"][split]["files"]
    _verify(folder, entries)
    size, spec, pixels = manifest["image_size"], _feature_spec(), _pixels_reader(manifest)

    def parse(row: "tf.Tensor", serialized: "tf.Tensor") -> "dict[str, tf.Tensor]":
        example = tf.io.parse_single_example(serialized, spec) | {ROW: row}
        for name in IMAGE:
            data = example.pop(name)
            if not with_images:
                continue
            example[name] = tf.cond(
                tf.strings.length(data) > 0,
                lambda data=data: pixels(data),
                lambda: tf.zeros((size, size, 3), tf.uint8),
            )
        return dict(example)

    names = [str(folder / entry["name"]) for entry in entries]
    if shuffle_seed is None:
        records = tf.data.TFRecordDataset(names).enumerate()
    else:
        starts = [sum(entry["rows"] for entry in entries[:number]) for number in range(len(entries))]
        files = tf.data.Dataset.from_tensor_slices((names, tf.constant(starts, tf.int64)))
        records = files.shuffle(len(names), shuffle_seed).interleave(
            lambda name, start: tf.data.TFRecordDataset(name).enumerate(start),
            cycle_length=_FILES_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    total = manifest["splits"][split]["rows"]
    if rows is not None:
        wanted = tf.scatter_nd(rows[:, None], tf.ones(len(rows), tf.bool), tf.constant([total], tf.int64))
        records = records.filter(lambda row, _: wanted[row])
    if shuffle_seed is not None:
        row_bytes = max(1, sum(entry["bytes"] for entry in entries) // total)
        # Serialized, not decoded: as many more rows fit.
        records = records.shuffle(min(total, max(1, _SHUFFLED_BYTES // row_bytes)), shuffle_seed)
    return records.map(parse, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of records. Raises DataError when it is absent, broken or of a format not read."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"The records in {folder} cannot be read ({error}). {_AGAIN}") from None
    if not isinstance(manifest, dict) or manifest.get("format", 1) < _OLDEST_FORMAT:
        raise DataError(f"{path} is of no format that is read: {_OLDEST_FORMAT} to {_FORMAT}. {_AGAIN}")
    check_format(path, manifest["format"], _FORMAT)
    return manifest


def _verify(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Compares size and SHA-256 of files with their entries in the manifest. Raises DataError naming the file."""
    for entry in entries:
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


def feature_spec() -> dict[str, dict[str, Any]]:
    """Name, dtype and shape of each feature in an example."""
    spec = _feature_spec()
    return {name: {"dtype": value.dtype.name, "shape": list(value.shape)} for name, value in spec.items()}


_AGAIN: Final = "Run again with --no-cache: it is written anew."


def _feature_spec() -> "dict[str, tf.io.FixedLenFeature]":
    import tensorflow as tf

    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (*ID, *TEXT, *IMAGE)}
    return spec | {name: tf.io.FixedLenFeature([], tf.int64) for name in (*IMAGE_PRESENT, LABEL)}


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


def _file_entry(path: Path, rows: int) -> dict[str, Any]:
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256_of_file(path)}


def _pixels_reader(manifest: dict[str, Any]) -> "Callable[[tf.Tensor], tf.Tensor]":
    """What makes uint8 [size, size, 3] of an image as the examples hold it."""
    import tensorflow as tf

    size = manifest["image_size"]
    if manifest["format"] < _RAW_PIXELS:
        return lambda data: tf.ensure_shape(tf.io.decode_png(data, channels=3), (size, size, 3))
    return lambda data: tf.reshape(tf.io.decode_raw(data, tf.uint8), (size, size, 3))


def _rows_of(batch: "dict[str, np.ndarray]", pixels: "Callable[[tf.Tensor], tf.Tensor]") -> Iterator[Row]:
    columns = [batch[name].tolist() for name in (*ID, *TEXT, *IMAGE, LABEL)]
    for id_1, id_2, text_1, text_2, image_1, image_2, label in zip(*columns, strict=True):
        first, second = (pixels(data).numpy() if data else None for data in (image_1, image_2))
        yield Row((id_1.decode(), id_2.decode()), (text_1.decode(), text_2.decode()), (first, second), label)


class _IndexWriter:
    """Writes an index batch by batch."""

    def __init__(self, path: Path) -> None:
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


def _key_array(column: "pa.FixedSizeBinaryArray") -> "np.ndarray":
    import numpy as np

    return np.frombuffer(column.buffers()[1], "S16")[column.offset : column.offset + len(column)]


def _write_shard(
    path: Path, rows: "pd.DataFrame", spec: RecordsSpec, index: _IndexWriter, unreadable: list[list[str]]
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
    chunk: "pd.DataFrame", spec: RecordsSpec, index: _IndexWriter, unreadable: list[list[str]]
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
        [content_key(value) if value else _NO_KEY for value in strings[name]] for name in TEXT
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
        return [(b"", _NO_KEY)] * len(chunk)
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
    return [(image, content_key(image) if image else _NO_KEY) for image in data]


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
