"""The index of features."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType

from entailment.model.feature_index import MANIFEST, FeatureIndex
from materializers.folder import FolderMaterializer

_NAME = "features"


class FeatureIndexMaterializer(FolderMaterializer):
    """Stores the folder of an index as it is: Arrow and JSON."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (FeatureIndex,)
    SHOWN: ClassVar[str] = f"{_NAME}/{MANIFEST}"
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: FeatureIndex) -> None:
        """Moves the folder into the artifact store."""
        self.store_folder(data.path, _NAME)

    def load(self, data_type: type[Any]) -> FeatureIndex:
        """Gives the folder; its files are verified when they are read."""
        return FeatureIndex.at(self.local_folder(_NAME))

    def compute_content_hash(self, data: FeatureIndex) -> str:
        """The hash of the manifest, which holds the hashes of all files but of what encoding took."""
        return data.sha256
