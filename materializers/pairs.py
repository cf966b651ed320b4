"""Tables of pairs as Parquet."""

from typing import Any, ClassVar

import pandas as pd
from zenml.enums import ArtifactType
from zenml.materializers.base_materializer import BaseMaterializer

from entailment.data.pairs import content_hash


class PairsMaterializer(BaseMaterializer):
    """Stores a pandas frame as one Parquet file; strings stay strings."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (pd.DataFrame,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: pd.DataFrame) -> None:
        """Writes the frame."""
        with self.artifact_store.open(self._path, "wb") as handle:
            data.to_parquet(handle, engine="pyarrow", index=False, compression="zstd")

    def load(self, data_type: type[Any]) -> pd.DataFrame:
        """Reads the frame."""
        with self.artifact_store.open(self._path, "rb") as handle:
            return pd.read_parquet(handle, engine="pyarrow")

    def compute_content_hash(self, data: pd.DataFrame) -> str:
        """Equal frames give equal hashes, so that steps after an unchanged result stay cached."""
        return content_hash(data)

    @property
    def _path(self) -> str:
        return f"{self.uri}/pairs.parquet"
