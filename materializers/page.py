"""A page for people, as HTML that ZenML shows."""

import hashlib
from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer


class PageMaterializer(BaseMaterializer):
    """Stores a text as one HTML file, which is its own visualization."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (str,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS
    # ZenML's own materializer stays the one for texts elsewhere.
    SKIP_REGISTRATION: ClassVar[bool] = True

    def save(self, data: str) -> None:
        """Writes the page."""
        with self.artifact_store.open(self._path, "wb") as handle:
            handle.write(data.encode())

    def load(self, data_type: type[Any]) -> str:
        """Reads the page."""
        with self.artifact_store.open(self._path, "rb") as handle:
            page: str = handle.read().decode()
        return page

    def save_visualizations(self, data: str) -> dict[str, VisualizationType]:
        """The page itself."""
        return {self._path: VisualizationType.HTML}

    def compute_content_hash(self, data: str) -> str:
        """Equal pages give equal hashes."""
        return hashlib.sha256(data.encode()).hexdigest()

    @property
    def _path(self) -> str:
        return f"{self.uri}/page.html"
