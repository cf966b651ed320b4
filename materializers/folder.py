"""Moving a folder between this machine and an artifact store, which may be elsewhere."""

import shutil
from pathlib import Path
from typing import Any, ClassVar

from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import VisualizationType
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer


class FolderMaterializer(BaseMaterializer):
    """Base of materializers whose artifact is a folder of files."""

    SKIP_REGISTRATION = True
    SHOWN: ClassVar[str]
    """The JSON file below the artifact that ZenML shows."""

    def save_visualizations(self, data: Any) -> dict[str, VisualizationType]:
        """What the folder says of itself; to be called after `save`."""
        return {f"{self.uri}/{self.SHOWN}": VisualizationType.JSON}

    def store_folder(self, folder: Path, name: str) -> None:
        """Moves `folder` to `name` in the artifact: by renaming where the store is local, else by copying."""
        if isinstance(self.artifact_store, LocalArtifactStore):
            shutil.move(folder, Path(self.uri) / name)
            return
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            remote = f"{self.uri}/{name}/{path.relative_to(folder).as_posix()}"
            self.artifact_store.makedirs(remote.rpartition("/")[0])
            fileio.copy(str(path), remote)
        shutil.rmtree(folder)

    def local_folder(self, name: str) -> Path:
        """The stored folder `name` on this machine: itself where the store is local, else a copy."""
        if isinstance(self.artifact_store, LocalArtifactStore):
            return Path(self.uri) / name
        with self.get_temporary_directory(delete_at_exit=False, delete_after_step_execution=True) as scratch:
            target = Path(scratch) / name
            for root, _, files in self.artifact_store.walk(f"{self.uri}/{name}"):
                for file in files:
                    remote = f"{root}/{file}"
                    path = target / remote.removeprefix(f"{self.uri}/{name}/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    fileio.copy(remote, str(path))
            return target
