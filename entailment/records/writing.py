"""Writing TFRecord files: texts and resized images, and the index of each split; whole or not at all."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.inputs import InputsConfiguration
from entailment.data.image_paths import OK
from entailment.data.pairs import content_hash, utf8_bytes
from entailment.data.split import SPLIT_COLUMN
from entailment.disks import check_room
from entailment.errors import DataError, ImageError
from entailment.files import write_json, written_aside
from entailment.inputs import kind_named
from entailment.inputs.kind import Fault, Kind
from entailment.progress import progress_bar
from entailment.records.index import NO_KEY, IndexWriter, content_key
from entailment.records.manifest import FORMAT, MANIFEST, file_entry
from entailment.task import (
    ID,
    IMAGE_PATH,
    IMAGE_STATUS,
    KINDS,
    LABEL,
    LABEL_INDEX_COLUMN,
    SIDES,
    columns_of,
    kinds_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_CHUNK: Final = 256
"""Rows whose images are held at once."""
_ROW: Final = 256
"""Bytes of a row beside its inputs: ids, label, keys in the index."""
_LOG = logging.getLogger(__name__)


def write_records(frame: "pd.DataFrame", folder: Path, config: InputsConfiguration) -> dict[str, Any]:
    """Writes every split there is as sharded TFRecord files and a manifest; the folder appears whole or not at all.

    Args:
        frame: pairs with resolved image paths and the column `split`.
        folder: is replaced when there.
        config: what the model sees, sizes, labels, and the policy for images that cannot be decoded
            (`InputsConfiguration.of_records`).

    Returns:
        The manifest: kinds of input, counts, files with their sizes and SHA-256, images that failed.

    Raises:
        ImageError: an image cannot be decoded while the policy is `error`.
        EntailmentError: they do not fit on the disk; nothing was written then.
    """
    import numpy as np

    manifest: dict[str, Any] = {
        "format": FORMAT,
        "kinds": _kinds(frame, config),
        "image_size": config.images.size,
        "classes": list(config.task.labels),
        "splits": {},
        "unreadable": [],
    }
    room = _bytes_needed(frame, config, manifest["kinds"])
    check_room(folder.parent, room, f"The records of {len(frame)} pairs")
    with written_aside(folder) as aside, progress_bar(len(frame), unit="pair", what="records") as bar:
        aside.mkdir()
        for split in frame[SPLIT_COLUMN].unique().tolist():
            rows = np.flatnonzero(frame[SPLIT_COLUMN] == split)
            shards = range(0, len(rows), config.records.rows_per_shard)
            files = []
            with closing(IndexWriter(aside / f"{split}.index.arrow", manifest["kinds"])) as index:
                for number, start in enumerate(shards):
                    name = f"{split}-{number:05d}-of-{len(shards):05d}.tfrecord"
                    shard = _taken(frame, rows[start : start + config.records.rows_per_shard])
                    kept = _write_shard(aside / name, shard, config, index, manifest)
                    files.append(file_entry(aside / name, kept))
                    bar.update(len(shard))
            kept = sum(f["rows"] for f in files)
            manifest["splits"][split] = {"rows": kept, "files": files, "index": file_entry(index.path, kept)}
        _check_rows_are_left(manifest)
        write_json(aside / MANIFEST, manifest)
    return manifest


def records_key(frame: "pd.DataFrame", config: InputsConfiguration, code: str) -> str:
    """Hexadecimal SHA-256 of all that shapes the records: the pairs, their image files, settings, and `code`.

    It is the same on every machine: where an image lies counts for nothing. `code` is a fingerprint of the code.
    """
    names = {column: frame[column].map(lambda path: Path(path).name) for column in IMAGE_PATH}
    parts = [code, config.model_dump_json(), content_hash(frame.assign(**names))]
    digest = hashlib.sha256("\0".join(parts).encode())
    kinds = [kind_named(name) for name in _kinds(frame, config)]
    # Of the others the frame holds what they are.
    files = [kind for kind in kinds if type(kind).raw is not Kind.raw]
    for start in range(0, len(frame), _CHUNK):
        chunk = frame.iloc[start : start + _CHUNK]
        for kind in files:
            for side in range(len(SIDES)):
                for value in kind.raw(chunk, side):
                    digest.update(content_key(value if isinstance(value, bytes) else str(value).encode()))
    return digest.hexdigest()


def _bytes_needed(frame: "pd.DataFrame", config: InputsConfiguration, kinds: Sequence[str]) -> int:
    """What all rows take, about: pixels of the images that were found, and what the table says of the others."""
    columns = {name for kind in kinds for name in columns_of(kind)} - {*columns_of("image")}
    images = sum(int((frame[name] == OK).sum()) for name in IMAGE_STATUS) if "image" in kinds else 0
    others = sum(int(utf8_bytes(frame[name]).sum()) for name in columns)
    return 3 * config.images.size**2 * images + others + _ROW * len(frame)


def _kinds(frame: "pd.DataFrame", config: InputsConfiguration) -> list[str]:
    """The kinds of input that the rows have and the model sees; texts always, because samples show them."""
    there = [name for name in KINDS if kind_named(name).is_in(frame)]
    seen = set(there) & set(kinds_of(config.inputs))
    if not seen:
        lacking = " and ".join(columns_of(config.inputs))
        raise DataError(
            f"--inputs {config.inputs} needs the columns {lacking}, which the table does not have."
        )
    return [name for name in there if name in {"text", *seen}]


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
    path: Path,
    rows: "pd.DataFrame",
    config: InputsConfiguration,
    index: IndexWriter,
    manifest: dict[str, Any],
) -> int:
    import tensorflow as tf

    kept = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for start in range(0, len(rows), _CHUNK):
            for example in _examples(rows.iloc[start : start + _CHUNK], config, index, manifest):
                writer.write(example)
                kept += 1
    return kept


def _examples(
    chunk: "pd.DataFrame", config: InputsConfiguration, index: IndexWriter, manifest: dict[str, Any]
) -> list[bytes]:
    """The serialized examples of a chunk; its rows are added to the index."""
    inputs: dict[str, list[bytes]] = {}
    faulty = set[int]()
    for name in manifest["kinds"]:
        for side, column in enumerate(columns_of(name)):
            inputs[column], faults = kind_named(name).stored(chunk, side, config)
            for row, fault in enumerate(faults):
                if fault:
                    _report(name, fault, config, manifest["unreadable"])
                    faulty.add(row)
    dropped = faulty if config.images.missing == "drop" else set()
    kept = [row for row in range(len(chunk)) if row not in dropped]
    if not kept:
        return []
    inputs = {name: [data[row] for row in kept] for name, data in inputs.items()}
    chunk = chunk.iloc[kept]
    ids = {name: [value.encode() for value in chunk[name]] for name in ID}
    labels: list[int] = chunk[LABEL_INDEX_COLUMN].tolist()
    keys = [[content_key(value) if value else NO_KEY for value in data] for data in inputs.values()]
    index.add([*ids.values(), labels, *keys])
    return [_example(ids | inputs, labels[row], row) for row in range(len(kept))]


def _example(strings: Mapping[str, Sequence[bytes]], label: int, row: int) -> bytes:
    """One row as a serialized Example, the same bytes each time."""
    import tensorflow as tf

    example = tf.train.Example()
    for name, values in strings.items():
        example.features.feature[name].bytes_list.value.append(values[row])
    example.features.feature[LABEL].int64_list.value.append(label)
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _report(name: str, fault: Fault, config: InputsConfiguration, unreadable: list[list[str]]) -> None:
    path, reason = fault
    if config.images.missing == "error":
        raise ImageError(
            f"The {name} {path} cannot be decoded: {reason}. Mend it or use --missing-images mask or drop."
        )
    _LOG.warning("The %s %s cannot be decoded: %s.", name, path, reason)
    unreadable.append([Path(path).name, reason])
