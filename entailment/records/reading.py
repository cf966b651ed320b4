"""The rows of records, verified when they are read: one by one, or as a tf.data pipeline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.records.manifest import IMAGE, RAW_PIXELS, ROW, example_spec, read_manifest, verify
from entailment.task import ID, LABEL, TEXT

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

_CHUNK: Final = 256
"""Examples parsed at once."""
_FILES_AT_ONCE: Final = 16
"""Files that a shuffled split is read from in turn."""
_SHUFFLED_BYTES: Final = 2**27
"""Records among which the next one of a shuffled split is drawn: as many as fit in this."""


@dataclass(frozen=True)
class Row:
    """One pair as the encoders take it."""

    ids: tuple[str, str]
    texts: tuple[str, str]
    images: "tuple[np.ndarray | None, np.ndarray | None]"
    """uint8 [size, size, 3], None where the image is absent."""
    label: int


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
    verify(folder, files)
    pixels = _pixels_reader(manifest)
    dataset = tf.data.TFRecordDataset([str(folder / entry["name"]) for entry in files])
    if rows is not None:
        mask = tf.data.Dataset.from_tensor_slices(np.concatenate([parts[number] for number in held]))
        dataset = (
            tf.data.Dataset.zip(dataset, mask).filter(lambda _, keep: keep).map(lambda record, _: record)
        )
    spec = example_spec()
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
    verify(folder, entries)
    size, spec, pixels = manifest["image_size"], example_spec(), _pixels_reader(manifest)

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


def _pixels_reader(manifest: dict[str, Any]) -> "Callable[[tf.Tensor], tf.Tensor]":
    """What makes uint8 [size, size, 3] of an image as the examples hold it."""
    import tensorflow as tf

    size = manifest["image_size"]
    if manifest["format"] < RAW_PIXELS:
        return lambda data: tf.ensure_shape(tf.io.decode_png(data, channels=3), (size, size, 3))
    return lambda data: tf.reshape(tf.io.decode_raw(data, tf.uint8), (size, size, 3))


def _rows_of(batch: "dict[str, np.ndarray]", pixels: "Callable[[tf.Tensor], tf.Tensor]") -> Iterator[Row]:
    columns = [batch[name].tolist() for name in (*ID, *TEXT, *IMAGE, LABEL)]
    for id_1, id_2, text_1, text_2, image_1, image_2, label in zip(*columns, strict=True):
        first, second = (pixels(data).numpy() if data else None for data in (image_1, image_2))
        yield Row((id_1.decode(), id_2.decode()), (text_1.decode(), text_2.decode()), (first, second), label)
