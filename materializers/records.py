"""TFRecord files with their manifest."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType

from entailment.records.manifest import MANIFEST, RecordsFolder
from materializers.folder import FolderMaterializer

_NAME = "records"


class RecordsMaterializer(FolderMaterializer):
    """Stores a folder of TFRecord files as it is."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (RecordsFolder,)
    SHOWN: ClassVar[str] = f"{_NAME}/{MANIFEST}"
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: RecordsFolder) -> None:
        """Moves the folder into the artifact store."""
        self.store_folder(data.path, _NAME)

    def load(self, data_type: type[Any]) -> RecordsFolder:
        """Gives the folder; its files are verified when they are read."""
        return RecordsFolder.at(self.local_folder(_NAME))

    def compute_content_hash(self, data: RecordsFolder) -> str:
        """The hash of the manifest, which holds the hashes of all files."""
        return data.sha256
