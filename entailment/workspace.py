"""Where the program keeps everything: below `$ENTAILMENT_HOME`, by default `.entailment/` beside the code.

What machines can share, `$ENTAILMENT_STORE` keeps besides, if it is set: a folder or `s3://bucket/prefix` with the
encoders that were built, the records and features of all inputs, and the versions of data sets of our own.
"""

import errno
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entailment.errors import ConfigurationError
from entailment.shared_store import SharedStore

_LOG = logging.getLogger(__name__)
_SPECIAL: Final = frozenset("%?#")
PROJECT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workspace:
    """The folders of a home, absolute; made by whoever writes there, but for `scratch`."""

    home: Path
    store: str = ""
    """The address of the shared store, "" where there is none."""

    @property
    def variables(self) -> dict[str, str]:
        """What tells another process of this machine that this is its workspace."""
        return {"ENTAILMENT_HOME": str(self.home.resolve())} | (
            {"ENTAILMENT_STORE": self.store} if self.store else {}
        )

    @property
    def shared(self) -> SharedStore | None:
        """The store that machines share."""
        return SharedStore(self.store) if self.store else None

    @contextmanager
    def sharing_encoders(
        self, names: Iterable[str], graphs: str, is_current: Callable[[Path], bool]
    ) -> Iterator[None]:
        """Encoders of these names that others built are here in the block; what it builds others have after it.

        `graphs` says which builds are alike: those of another program are not looked at. `is_current` tells whether
        the folder of a module is such a build.
        """
        shared, modules, folder = self.shared, self.encoders / "modules", f"encoders/{graphs}"
        if not shared:
            yield
            return
        wanted, there = [modules / name for name in sorted(names)], shared.names(folder)
        for module in wanted:
            if f"{module.name}.tar" in there and not is_current(module):
                shared.fetch_packed(f"{folder}/{module.name}.tar", module)
        yield
        for module in wanted:
            if f"{module.name}.tar" not in there and is_current(module):
                files = {path.name: path for path in sorted(module.iterdir())}
                shared.publish_packed(files, f"{folder}/{module.name}.tar", self.scratch)

    @contextmanager
    def sharing_features(self, folders: Iterable[str]) -> Iterator[None]:
        """The same for the features in these folders of the store of features."""
        shared = self.shared
        if not shared:
            yield
            return
        names = list(folders)
        try:
            for name in names:
                shared.fetch_files(f"features/{name}", self.features / name)
        except OSError as error:
            _LOG.warning("Features of the shared store cannot be kept here (%s): they are encoded.", error)
        yield
        for name in names:
            shared.publish_files(sorted((self.features / name).glob("[!.]*")), f"features/{name}")

    @contextmanager
    def sharing_records(self, key: Callable[[], str], folder: Path) -> Iterator[bool]:
        """The same for the records of this key, written to a folder: the block is told whether they are there.

        Others have what it wrote only where the key is the same after it: no image has changed meanwhile.
        """
        shared = self.shared
        if not shared:
            yield False
            return
        name = f"{key()}.tar"
        there = name in shared.names("records")
        if there:
            shared.fetch_packed(f"records/{name}", folder)
            _LOG.info("Records taken from the shared store %s.", shared.url)
        yield there
        if not there and f"{key()}.tar" == name:
            files = {path.name: path for path in sorted(folder.iterdir())}
            shared.publish_packed(files, f"records/{name}", self.scratch)

    @property
    def datasets(self) -> Path:
        """The generated sample, downloaded tweets, and data sets of our own."""
        return self.home / "datasets"

    @property
    def image_hashes(self) -> Path:
        """What the files of folders of images hold, as far as it was looked at."""
        return self.home / "image-hashes"

    @property
    def encoders(self) -> Path:
        """Encoders that were built or downloaded."""
        return self.home / "encoders"

    @property
    def features(self) -> Path:
        """The store of features."""
        return self.home / "features"

    @property
    def run_lock(self) -> Path:
        """Locked by the process that runs steps here, or removes what they made."""
        return self.home / "run.lock"

    @property
    def scratch(self) -> Path:
        """For what is being written, on the same disk as what is kept; made when absent."""
        folder = self.home / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def workspace() -> Workspace:
    """The workspace of this process. Steps and commands ask for it once; nothing in `entailment/` does.

    Raises ConfigurationError where the home cannot be a folder, or home or store are those of no user.
    """
    named = _absolute("ENTAILMENT_HOME", os.environ.get("ENTAILMENT_HOME") or str(PROJECT / ".entailment"))
    if file := next(filter(_is_file, (named, *named.parents)), None):
        raise ConfigurationError(f"ENTAILMENT_HOME must be a folder. Received: {named}; {file} is a file.")
    home = _plainly_spelt(named)
    return Workspace(home, _address(os.environ.get("ENTAILMENT_STORE", "")))


def _is_file(path: Path) -> bool:
    with suppress(PermissionError):
        return path.is_file()
    return False


def _plainly_spelt(home: Path) -> Path:
    """The same folder by a path without the characters that end or encode something in the address of a database.

    Raises ConfigurationError where no such path can be made.
    """
    if not _SPECIAL & set(str(home)):
        return home
    kept = Path.home() / ".cache" / "entailment"
    link = kept / hashlib.sha256(str(home).encode()).hexdigest()[:16]
    try:
        for folder in (home, kept):
            folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(home)
        if link.resolve() != home:
            raise FileExistsError(errno.EEXIST, "something else is there", str(link))
    except OSError as error:
        raise ConfigurationError(
            f"The path of the home {home} has one of {' '.join(sorted(_SPECIAL))} in it, which SQLite and MLflow take"
            f" for something else, and a link to it cannot be made in {kept} ({error.strerror}). Set ENTAILMENT_HOME"
            " to a folder without them."
        ) from None
    return link


def _address(store: str) -> str:
    return store if not store or "://" in store else str(_absolute("ENTAILMENT_STORE", store))


def _absolute(variable: str, path: str) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError:
        raise ConfigurationError(
            f"{variable} begins with the home directory of a user who is not there. Received: {path}. Write an"
            " absolute path."
        ) from None
