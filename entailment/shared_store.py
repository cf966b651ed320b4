"""The store that machines share: a folder or `s3://bucket/prefix`, whose files are written once and never changed."""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from entailment.disks import disk_fault
from entailment.errors import StoreError
from entailment.files import written_aside


class SharedStore:
    """Files by name below a root. Who writes a name first wins; a file is there whole or not at all.

    Example:
        store = SharedStore("s3://bucket/entailment")
        store.publish(Path("module.tar"), "encoders/minilm.tar")
        store.fetch("encoders/minilm.tar", Path("here.tar"))

    Everything raises StoreError where the store cannot be reached, read or written.
    """

    def __init__(self, url: str) -> None:
        """`url` is a folder or `s3://bucket/prefix`; of S3 the variables `AWS_...` say where and who."""
        import fsspec

        self.url = url
        with self._plain_errors():
            self._files, root = fsspec.core.url_to_fs(url)
            self._root = str(root).rstrip("/")
        self._local = "file" in self._files.protocol

    def names(self, folder: str) -> list[str]:
        """The files below a folder, by their names in it, in order; none where it is not there."""
        with self._plain_errors():
            self._files.invalidate_cache()
            try:
                found = self._files.find(f"{self._root}/{folder}")
            except FileNotFoundError:
                return []
        start = len(f"{self._root}/{folder}/")
        # A file that is being written lies in a folder of its own with a dot before its name.
        names = (path[start:] for path in found)
        return sorted(name for name in names if not name.startswith(".") and "/." not in name)

    def fetch(self, name: str, to: Path) -> None:
        """Copies a file to the path `to`."""
        with self._plain_errors(), written_aside(to) as aside:
            self._files.get_file(f"{self._root}/{name}", str(aside))

    def publish(self, file: Path, name: str) -> bool:
        """Copies a file into the store; False where there is one of that name, which stays."""
        with self._plain_errors():
            if self._local:
                return _copied_anew(file, Path(f"{self._root}/{name}"))
            path = f"{self._root}/{name}"
            try:
                self._files.put_file(str(file), path, mode="create")
            except Exception:
                # Servers refuse the second writer with errors of several kinds.
                self._files.invalidate_cache()
                if self._files.exists(path):
                    return False
                raise
            return True

    def fetch_files(self, folder: str, to: Path) -> None:
        """Copies the files of a folder that `to` lacks."""
        for name in self.names(folder):
            if not (to / name).exists():
                self.fetch(f"{folder}/{name}", to / name)

    def publish_files(self, files: Iterable[Path], folder: str) -> None:
        """Copies those of the files into a folder that it lacks."""
        there = set(self.names(folder))
        for file in files:
            if file.name not in there:
                self.publish(file, f"{folder}/{file.name}")

    def fetch_packed(self, name: str, to: Path) -> None:
        """Makes the folder `to` of what `publish_packed` put there."""
        with (
            self._plain_errors(),
            tempfile.TemporaryDirectory(prefix=".", dir=_made(to.parent)) as scratch,
            written_aside(to) as aside,
        ):
            packed = Path(scratch) / "packed.tar"
            self.fetch(name, packed)
            with tarfile.open(packed) as tar:
                tar.extractall(aside, filter="data")

    def publish_packed(self, files: dict[str, Path], name: str, scratch: Path) -> bool:
        """Copies files and folders, by their names in it, as one tar file; as `publish`."""
        with self._plain_errors(), tempfile.TemporaryDirectory(dir=scratch) as folder:
            packed = Path(folder) / "packed.tar"
            with tarfile.open(packed, "w") as tar:
                for inside, path in files.items():
                    tar.add(path, inside)
            return self.publish(packed, name)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # each kind of store has its own
            fault = disk_fault(error)
            if fault and fault.filename and not Path(fault.filename).is_relative_to(self._root):
                raise
            said = str(error).strip() or type(error).__name__
            raise StoreError(
                f"The shared store {self.url} cannot be used: {said}. Look at ENTAILMENT_STORE, at the network and,"
                " for s3://, at the variables AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or"
                " unset ENTAILMENT_STORE, and all is kept in the home alone."
            ) from error


def _copied_anew(file: Path, target: Path) -> bool:
    """Copies a file; False where the target is there, also since a moment ago."""
    with tempfile.TemporaryDirectory(prefix=".", dir=_made(target.parent)) as scratch:
        aside = Path(scratch) / target.name
        shutil.copyfile(file, aside)
        try:
            os.link(aside, target)
        except FileExistsError:
            return False
    return True


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
