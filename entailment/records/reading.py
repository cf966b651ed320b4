"""The rows of records, verified when they are read: one by one, or as a tf.data pipeline."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.errors import DataError
from entailment.inputs import kind_named
from entailment.records.manifest import (
    AGAIN,
    MANIFEST,
    RAW_PIXELS,
    ROW,
    example_spec,
    kinds_in,
    read_manifest,
    verify,
)
from entailment.task import ID, LABEL, columns_of

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
    values: Mapping[str, tuple[Any, Any]]
    """By kind of input both sides, as `Kind.value` gives them: a text, or uint8 [size, size, 3] of an image; the
    empty text, or None, where it is absent."""
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
    dataset = tf.data.TFRecordDataset([str(folder / entry["name"]) for entry in files])
    if rows is not None:
        mask = tf.data.Dataset.from_tensor_slices(np.concatenate([parts[number] for number in held]))
        dataset = (
            tf.data.Dataset.zip(dataset, mask).filter(lambda _, keep: keep).map(lambda record, _: record)
        )
    kinds = kinds_in(manifest)
    spec = example_spec(kinds)
    batches = dataset.batch(_CHUNK).map(lambda records: tf.io.parse_example(records, spec)).prefetch(1)
    for batch in batches.as_numpy_iterator():
        yield from _rows_of(batch, _value_readers(manifest, kinds))


def records_dataset(
    folder: Path,
    split: str,
    shuffle_seed: int | None = None,
    *,
    rows: "np.ndarray | None" = None,
    kinds: Sequence[str] | None = None,
) -> "tf.data.Dataset":
    """One split as a tf.data pipeline of parsed examples with these kinds of input, all if not given, as bytes.

    Each example also has `row`, its position in the split's index; `rows`, int [k], are the positions of those that
    are wanted, all if not given.

    Without a seed in the order of writing. With one, for training: files read in turn, examples shuffled within what
    128 MiB hold; another order in each pass over the same dataset, the same in every run (and `tf.random.set_seed`).

    Raises:
        DataError: a file is missing, cut or changed since it was written, or an older program wrote them.
    """
    import tensorflow as tf

    manifest = read_manifest(folder)
    if manifest["format"] < RAW_PIXELS:
        raise DataError(
            f"{folder / MANIFEST} is of format {manifest['format']}, whose images are packed. {AGAIN}"
        )
    entries = manifest["splits"][split]["files"]
    verify(folder, entries)
    spec = example_spec(kinds_in(manifest) if kinds is None else kinds)

    def parse(row: "tf.Tensor", serialized: "tf.Tensor") -> "dict[str, tf.Tensor]":
        return dict(tf.io.parse_single_example(serialized, spec) | {ROW: row})

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


def _value_readers(manifest: dict[str, Any], kinds: Sequence[str]) -> dict[str, Callable[[bytes], Any]]:
    """By kind of input what makes a value of the bytes that the examples hold."""
    import tensorflow as tf

    readers: dict[str, Callable[[bytes], Any]] = {name: kind_named(name).value for name in kinds}
    if manifest["format"] < RAW_PIXELS:
        readers["image"] = lambda data: tf.io.decode_png(data, channels=3).numpy() if data else None
    return readers


def _rows_of(batch: "dict[str, np.ndarray]", readers: dict[str, Callable[[bytes], Any]]) -> Iterator[Row]:
    ids = zip(*(batch[name].tolist() for name in ID), strict=True)
    sides = {
        name: zip(*(batch[column].tolist() for column in columns_of(name)), strict=True) for name in readers
    }
    for (id_1, id_2), label in zip(ids, batch[LABEL].tolist(), strict=True):
        values = {name: tuple(map(read, next(sides[name]))) for name, read in readers.items()}
        yield Row((id_1.decode(), id_2.decode()), values, label)
