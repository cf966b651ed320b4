"""What the images of a table are, by their content: what was read before is not read again."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.data.image_paths import file_finder
from entailment.files import read_json, sha256_of_file, write_json
from entailment.task import ID, IMAGE_FILE, IMAGE_SHA256, IMAGE_URL, SIDES

if TYPE_CHECKING:
    import pandas as pd

_FORMAT: Final = 1
_READ_AT_ONCE: Final = 8
_SETTLED: Final = 2 * 10**9
"""Nanoseconds after which a file that is written once more has another time, also where a disk counts seconds."""


def images_hash(pairs: "pd.DataFrame", folder: Path, remembered: Path) -> str:
    """Hexadecimal SHA-256 over the content of the image files of each row, in row order; of none where there is none.

    What the files are called and where they lie makes no difference. A file is read where name, size or time are not
    those that `remembered`, a folder that is made when absent, has for it; a table of a data set of our own tells the
    contents itself, of the files that are there. Raises as `resolve_image_paths`.
    """
    find, sides = file_finder(pairs, folder), range(len(SIDES))
    names = [list(map(find, pairs[ID[side]].tolist(), pairs[IMAGE_URL[side]].tolist())) for side in sides]
    if set(IMAGE_SHA256) <= set(pairs.columns):
        told = [zip(pairs[IMAGE_FILE[side]], pairs[IMAGE_SHA256[side]], strict=True) for side in sides]
        there = {path.name for path in folder.glob("*")}
        contents = {name: sha256 for side in told for name, sha256 in side if name in there}
    else:
        contents = _contents(folder, sorted({*names[0], *names[1]} - {""}), remembered)
    digest = hashlib.sha256()
    for pair in zip(*names, strict=True):
        digest.update(" ".join(contents.get(name, "") for name in pair).encode() + b"\n")
    return digest.hexdigest()


def _contents(folder: Path, names: list[str], remembered: Path) -> dict[str, str]:
    """The SHA-256 of each file, "" of one that cannot be read."""
    place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    file = remembered / f"{place}.json"
    known, now = _known(file), time.time_ns()

    def look(name: str) -> tuple[int, int, str]:
        path = folder / name
        try:
            stat = path.stat()
            size, at, digest = known.get(name, (0, 0, ""))
            if (size, at) != (stat.st_size, stat.st_mtime_ns):
                digest = sha256_of_file(path)
            return stat.st_size, stat.st_mtime_ns, digest
        except OSError:
            return 0, now, ""

    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        found = dict(zip(names, pool.map(look, names), strict=True))
    new = {name: seen for name, seen in found.items() if seen[1] < now - _SETTLED and known.get(name) != seen}
    if new:
        write_json(file, {"format": _FORMAT, "files": known | new})
    return {name: digest for name, (_, _, digest) in found.items()}


def _known(file: Path) -> dict[str, tuple[int, int, str]]:
    """By name the size, time and SHA-256 of each file; nothing where this cannot be read: it is found anew."""
    try:
        kept = read_json(file)
        known = {name: (int(size), int(at), str(sha)) for name, (size, at, sha) in kept["files"].items()}
        return known if kept["format"] == _FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
