"""Tables of pairs as Parquet."""

from typing import Any, ClassVar, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer

from entailment.data.pairs import content_hash
from entailment.files import check_format, spreadsheet_csv

_FORMAT: Final = 1
_FORMAT_KEY: Final = b"format"
"""In the file's metadata."""
_SHOWN: Final = 100
"""Rows that ZenML shows."""


class PairsMaterializer(BaseMaterializer):
    """Stores a pandas frame as one Parquet file; strings stay strings."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (pd.DataFrame,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: pd.DataFrame) -> None:
        """Writes the frame."""
        with self.artifact_store.open(self._path, "wb") as handle:
            table = pa.Table.from_pandas(data, preserve_index=False)
            table = table.replace_schema_metadata({**table.schema.metadata, _FORMAT_KEY: str(_FORMAT)})
            pq.write_table(table, handle, compression="zstd")

    def load(self, data_type: type[Any]) -> pd.DataFrame:
        """Reads the frame. Raises DataError when a newer version wrote it."""
        with self.artifact_store.open(self._path, "rb") as handle:
            metadata = pq.read_schema(handle).metadata or {}
            check_format(self._path, int(metadata.get(_FORMAT_KEY, b"1")), _FORMAT)
            handle.seek(0)
            return pd.read_parquet(handle, engine="pyarrow")

    def save_visualizations(self, data: pd.DataFrame) -> dict[str, VisualizationType]:
        """The first rows as CSV, for a spreadsheet too."""
        shown = data.head(_SHOWN)
        path = f"{self.uri}/first_{len(shown)}_of_{len(data)}_rows.csv"
        with self.artifact_store.open(path, "wb") as handle:
            handle.write(spreadsheet_csv(shown).encode())
        return {path: VisualizationType.CSV}

    def compute_content_hash(self, data: pd.DataFrame) -> str:
        """Equal frames give equal hashes, so that steps after an unchanged result stay cached."""
        return content_hash(data)

    @property
    def _path(self) -> str:
        return f"{self.uri}/pairs.parquet"
