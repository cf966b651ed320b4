"""What a folder of records says of itself, and what an example holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.errors import DataError
from entailment.files import check_format, read_json, sha256_of_file
from entailment.task import ID, LABEL, columns_of

if TYPE_CHECKING:
    import tensorflow as tf

MANIFEST: Final = "manifest.json"
FORMAT: Final = 5
RAW_PIXELS: Final = 4
"""The first format that holds images as their pixels: packing them as PNG took longer than decoding the files."""
_OLDEST_FORMAT: Final = 2
"""Its examples also hold token ids, which nothing reads."""
_FIRST_KINDS: Final = ("text", "image")
"""What records of a format before 5 hold, where the manifest does not say."""
ROW: Final = "row"
AGAIN: Final = "Run again with --no-cache: it is written anew."


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


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of records. Raises DataError when it is absent, broken or of a format not read."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"The records in {folder} cannot be read ({error}). {AGAIN}") from None
    if not isinstance(manifest, dict) or manifest.get("format", 1) < _OLDEST_FORMAT:
        raise DataError(f"{path} is of no format that is read: {_OLDEST_FORMAT} to {FORMAT}. {AGAIN}")
    check_format(path, manifest["format"], FORMAT)
    return manifest


def verify(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Compares size and SHA-256 of files with their entries in the manifest. Raises DataError naming the file."""
    for entry in entries:
        path = folder / entry["name"]
        if not path.is_file():
            raise DataError(f"The record file {path} is gone. {AGAIN}")
        if path.stat().st_size != entry["bytes"] or sha256_of_file(path) != entry["sha256"]:
            raise DataError(
                f"The record file {path} was changed since it was written (wrong SHA-256). {AGAIN}"
            )


def records_hash(folder: Path) -> str:
    """Hexadecimal SHA-256 of the manifest, which holds the hashes of all files."""
    return sha256_of_file(folder / MANIFEST)


def kinds_in(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of input that records hold."""
    return tuple(manifest.get("kinds", _FIRST_KINDS))


def example_spec(kinds: Sequence[str]) -> "dict[str, tf.io.FixedLenFeature]":
    """What `tf.io.parse_example` is told of an example that holds these kinds of input."""
    import tensorflow as tf

    columns = [name for kind in kinds for name in columns_of(kind)]
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in (*ID, *columns)}
    return spec | {LABEL: tf.io.FixedLenFeature([], tf.int64)}


def file_entry(path: Path, rows: int) -> dict[str, Any]:
    """What the manifest says of a file of so many rows."""
    return {"name": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
