"""A trained head as a `.keras` file, with the encoders that were trained with it."""

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from zenml.enums import ArtifactType

from entailment.model.training import RECORD, TrainedHead, load_trained, save_trained
from materializers.folder import FolderMaterializer

_NAME = "head"


class HeadMaterializer(FolderMaterializer):
    """Stores the model (`.keras`), the history of its training (JSON) and trained encoders (SavedModel)."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (TrainedHead,)
    SHOWN: ClassVar[str] = f"{_NAME}/{RECORD}"
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL

    def save(self, data: TrainedHead) -> None:
        """Writes model and history and moves trained encoders there."""
        # Beside the target where it is local, so that moving it there is a renaming.
        parent = self.uri if Path(self.uri).is_dir() else None
        with tempfile.TemporaryDirectory(dir=parent) as scratch:
            folder = Path(scratch) / _NAME
            save_trained(data, folder)
            self.store_folder(folder, _NAME)

    def load(self, data_type: type[Any]) -> TrainedHead:
        """Reads model and history."""
        return load_trained(self.local_folder(_NAME))
