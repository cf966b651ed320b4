"""Reports as JSON."""

import hashlib
import json
from typing import Any, ClassVar, Final

from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer

from entailment.files import check_format

_FORMAT: Final = 1
_FORMAT_KEY: Final = "format"


class ReportMaterializer(BaseMaterializer):
    """Stores a dictionary of plain values as one JSON file, with the file's `format` among them."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (dict,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS
    # ZenML's own materializer stays the one for dictionaries elsewhere.
    SKIP_REGISTRATION: ClassVar[bool] = True

    def save(self, data: dict[str, Any]) -> None:
        """Writes the report."""
        with self.artifact_store.open(self._path, "w") as handle:
            handle.write(_json({**data, _FORMAT_KEY: _FORMAT}))

    def load(self, data_type: type[Any]) -> dict[str, Any]:
        """Reads the report. Raises DataError when a newer version wrote it."""
        with self.artifact_store.open(self._path, "r") as handle:
            report: dict[str, Any] = json.loads(handle.read())
        check_format(self._path, report.pop(_FORMAT_KEY, 1), _FORMAT)
        return report

    def save_visualizations(self, data: dict[str, Any]) -> dict[str, VisualizationType]:
        """The file itself, and a table of its `metrics` where it has some."""
        shown = {self._path: VisualizationType.JSON}
        if metrics := data.get("metrics"):
            path = f"{self.uri}/metrics.md"
            with self.artifact_store.open(path, "w") as handle:
                handle.write("| metric | value |\n| --- | ---: |\n")
                handle.writelines(f"| {name} | {value:.4f} |\n" for name, value in metrics.items())
            shown[path] = VisualizationType.MARKDOWN
        return shown

    def compute_content_hash(self, data: dict[str, Any]) -> str:
        """Equal reports give equal hashes."""
        return hashlib.sha256(_json(data).encode()).hexdigest()

    @property
    def _path(self) -> str:
        return f"{self.uri}/report.json"


def _json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, sort_keys=True, allow_nan=False) + "\n"
