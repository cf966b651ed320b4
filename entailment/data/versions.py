"""Data sets of our own, which grow by additions: their versions here and in the store that machines share.

    <folder>/<name>/log.json             what each addition brought; the last version in it is the current one
    <folder>/<name>/pairs-00001.csv      the whole table of a version, also the rows of those before it
    <folder>/<name>/images/<sha256>      the images of all versions; up to format 2 named <id>.<ext>

    datasets/<name>/00001-<hash>.tar     in the store: what a version brought, its table and log
    datasets/<name>/00001.json           that this is version 1: who writes it first wins

A version never changes: its table names the file of each image, and no file is replaced by another content. The log,
and in the store the JSON, is written last: what a killed addition left behind is in no version. A data set begins
with a log of no addition, so tables without a log have lost it.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.errors import DataError
from entailment.files import check_format, locked, read_json, sha256_of_file, write_json
from entailment.shared_store import SharedStore
from entailment.task import IMAGE_FILE, IMAGE_SHA256, PAIR_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = (*PAIR_COLUMNS, *IMAGE_FILE, *IMAGE_SHA256)
LOG_FILE: Final = "log.json"
IMAGES: Final = "images"
FORMAT: Final = 3
"""Of the log. Up to 2 images were found by their ids, also those that came with a later version."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PROBLEMS_FILE: Final = "unusable_images.csv"
"""In a data set's folder: the images that its last addition could not take, and why; absent where there is none."""
PART: Final = ".part"
"""Below `images/`: the image that is being copied."""
_SHARED_FORMAT: Final = 2
_SCRATCH: Final = ".adding."
_TABLE: Final = re.compile(r"pairs-\d{5}\.csv")
_IMAGE: Final = re.compile(r"[0-9a-f]{64}")
_ASIDE: Final = re.compile(rf"\.(adding|log\.json|unusable_images\.csv|{_TABLE.pattern})\.[a-z0-9_]{{8}}")
"""Folders in which something of a data set is being written, as Python's `tempfile` ends their names."""


@dataclass(frozen=True)
class Version:
    """One version of a data set of our own."""

    name: str
    number: int
    csv: Path
    images: Path


def find_version(folder: Path, source: str) -> Version | None:
    """The version that `source` names: `NAME` (the current one) or `NAME@2`; None where there is no such data set.

    Raises DataError when the data set has no such version, or as `read_log`.
    """
    name, at, number = source.partition("@")
    place = folder / name
    current = number_of(read_log(place)) if NAME.fullmatch(name) else 0
    if not current:
        return None
    if at and not (number.isdecimal() and 1 <= int(number) <= current):
        raise DataError(
            f"The data set '{name}' has no version '{number}'. It has versions 1 to {current}; '{name}' alone is"
            " the last."
        )
    chosen = int(number) if at else current
    return Version(name, chosen, place / table_name(chosen), place / IMAGES)


def dataset_names(folder: Path) -> list[str]:
    """Names of the data sets of our own below `folder`, in order."""
    logs = folder.glob(f"[!.]*/{LOG_FILE}")
    return sorted(log.parent.name for log in logs if (log.parent / table_name(1)).is_file())


def fetch_versions(shared: SharedStore | None, folder: Path, source: str) -> None:
    """Brings the versions here that the store has of the data set which `source` names, and this machine lacks.

    Raises:
        DataError: the store has another data set of that name.
        StoreError: the store cannot be used.
    """
    name = source.partition("@")[0]
    if not shared or not NAME.fullmatch(name):
        return
    place, numbers = folder / name, _shared_numbers(shared, name)
    if not numbers:
        return
    with locked(folder / f"{name}.lock", f"An addition to {name} is going on: waiting for its end."):
        current = number_of(opened_log(place))
        common = min(current, len(numbers))
        if common and not _is_the_same(shared, place, common):
            raise DataError(
                f"The data set '{name}' of this home is not the one in {shared.url}: version {common} differs. Move"
                f" the folder {place} away and add its last table again; or name another store (ENTAILMENT_STORE)."
            )
        for number in numbers[current:]:
            _fetch(shared, place, number)


def share_versions(shared: SharedStore, place: Path, log: list[dict[str, Any]]) -> None:
    """Puts the versions of `log`, whose tables and images are in `place`, into the store: those that it lacks.

    Raises:
        DataError: another machine was first, or an image is gone.
        StoreError: the store cannot be used.
    """
    current, there = number_of(log), len(_shared_numbers(shared, place.name))
    if there >= current and not _is_the_same(shared, place, current):
        raise _another_was_first(shared, place, current)
    for number in range(there + 1, current + 1):
        table = place / table_name(number)
        told = {"format": _SHARED_FORMAT, "table": sha256_of_file(table)}
        told["packed"] = f"{number:05d}-{str(told['table'])[:16]}.tar"
        new = sorted(_images(place, number) - _images(place, number - 1))
        if gone := next((name for name in new if not (place / IMAGES / name).is_file()), None):
            raise DataError(
                f"The image {place / IMAGES / gone} of version {number} is gone, so {place.name} cannot be put into"
                f" {shared.url}. Take it from a backup, or add its pair again with its image (add FILE.csv --images"
                " FOLDER). Nothing was added."
            )
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=place) as scratch:
            until, version = Path(scratch) / LOG_FILE, Path(scratch) / "version.json"
            additions = [addition for addition in log if addition["version"] <= number]
            write_json(until, {"format": FORMAT, "additions": additions})
            write_json(version, told)
            files = {LOG_FILE: until, table.name: table}
            files |= {f"{IMAGES}/{name}": place / IMAGES / name for name in new}
            folder = f"datasets/{place.name}"
            shared.publish_packed(files, f"{folder}/{told['packed']}", Path(scratch))
            made = shared.publish(version, f"{folder}/{number:05d}.json")
            # It is ours also where the network repeated a request that had arrived.
            if not made and not _is_the_same(shared, place, number):
                raise _another_was_first(shared, place, number)


def read_table(place: Path, number: int) -> "pd.DataFrame":
    """The table of a version; of version 0, which is none, an empty one."""
    import pandas as pd

    if number == 0:
        return pd.DataFrame({name: pd.Series([], dtype="str") for name in COLUMNS})
    return read_csv(place / table_name(number))


def read_csv(path: Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """A table as versions keep it, or some of its columns, all strings."""
    import pandas as pd

    return pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8", usecols=columns)


def read_log(place: Path) -> list[dict[str, Any]]:
    """What each addition to the data set in `place` brought, the oldest first.

    Raises DataError where the log is damaged, lost, or of a newer version of the program.
    """
    path = place / LOG_FILE
    if not path.is_file():
        if any(_TABLE.fullmatch(table.name) for table in place.glob("*.csv")):
            raise DataError(
                f"The data set {place} has no {LOG_FILE}. Take it from a backup, or move the folder away: without it"
                " nothing says which versions there are."
            )
        return []
    try:
        log = read_json(path)
        log = {"format": 1, "additions": log} if isinstance(log, list) else log
        form, additions = log["format"], list(log["additions"])
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{path} is damaged: it must tell format and additions. Take it from a backup: without it nothing says"
            " which versions there are."
        ) from None
    check_format(path, form, FORMAT)
    return additions


def opened_log(place: Path) -> list[dict[str, Any]]:
    """The log of the data set in `place`, which is locked: begun where there is none, else leftovers are removed.

    Raises DataError as `read_log`.
    """
    log = read_log(place)
    if (place / LOG_FILE).is_file():
        _clear_leftovers(place, number_of(log))
    else:
        write_log(place, log)
    return log


def write_log(place: Path, log: list[dict[str, Any]]) -> None:
    """Writes the log of the data set in `place`: its versions count from then on."""
    write_json(place / LOG_FILE, {"format": FORMAT, "additions": log})


def _clear_leftovers(place: Path, current: int) -> None:
    """Removes what a killed process left in `place`, by the names that we give and no others: what is in no version
    up to the `current` one."""
    for path in place.glob(".*"):
        if _ASIDE.fullmatch(path.name):
            shutil.rmtree(path)
    (place / IMAGES / PART).unlink(missing_ok=True)
    for path in place.glob("pairs-*.csv"):
        if _TABLE.fullmatch(path.name) and path.name > table_name(current):
            path.unlink()
    unknown = {path.name for path in place.glob(f"{IMAGES}/*") if _IMAGE.fullmatch(path.name)}
    for number in range(current, 0, -1):
        if not unknown:
            return
        unknown -= _images(place, number)
    for name in unknown:
        (place / IMAGES / name).unlink()


def number_of(log: list[dict[str, Any]]) -> int:
    """The current version, 0 where there is none."""
    return int(log[-1]["version"]) if log else 0


def table_name(number: int) -> str:
    """The file of a version's table."""
    return f"pairs-{number:05d}.csv"


def _shared_numbers(shared: SharedStore, name: str) -> list[int]:
    """The versions that the store has, from 1 on."""
    found = {
        file.removesuffix(".json") for file in shared.names(f"datasets/{name}") if file.endswith(".json")
    }
    return list(range(1, len(found) + 1))


def _told(shared: SharedStore, place: Path, number: int) -> dict[str, Any]:
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=place) as scratch:
        file, name = Path(scratch) / "version.json", f"datasets/{place.name}/{number:05d}.json"
        shared.fetch(name, file)
        try:
            told = read_json(file)
            told = {key: told[key] for key in ("format", "table", "packed")}
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{shared.url}/{name} is damaged: it must tell format, table and packed."
            ) from None
    check_format(f"{shared.url}/{name}", told["format"], _SHARED_FORMAT)
    return told


def _is_the_same(shared: SharedStore, place: Path, number: int) -> bool:
    """Whether version `number` here is the store's; each holds those before it."""
    table: str = _told(shared, place, number)["table"]
    return table == sha256_of_file(place / table_name(number))


def _another_was_first(shared: SharedStore, place: Path, number: int) -> DataError:
    return DataError(
        f"Another machine has just made version {number} of {place.name} in {shared.url}. Nothing was added: run the"
        " command again."
    )


def _fetch(shared: SharedStore, place: Path, number: int) -> None:
    packed = _told(shared, place, number)["packed"]
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=place) as scratch:
        new = Path(scratch) / "version"
        shared.fetch_packed(f"datasets/{place.name}/{packed}", new)
        (place / IMAGES).mkdir(parents=True, exist_ok=True)
        for path in [*sorted(new.glob(f"{IMAGES}/*")), new / table_name(number), new / LOG_FILE]:
            path.replace(place / path.relative_to(new))


def _images(place: Path, number: int) -> set[str]:
    """The image files of a version."""
    if number == 0:
        return set()
    table = read_csv(place / table_name(number), [*IMAGE_FILE])
    return {name for column in IMAGE_FILE for name in table[column].tolist()} - {""}
