"""The champion, loaded from the registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entailment.configuration.configuration import Configuration
from entailment.promotion.champion import Champion
from entailment.serving.predictor import Predictor
from entailment.task import kinds_of
from entailment.workspace import workspace
from tracking.registry import trained_pairs, version_files, version_tags


def load_champion(
    version: str, source: Mapping[str, Any], configuration: Configuration
) -> tuple[Champion | None, str]:
    """The registered version, answering through the feature store; or None and why it is not to be compared with.

    `version` is "" where there is no champion. One that was trained on generated data yields to any on other data.
    `source` (what `ingest` gives) names the folder of images.
    """
    model, labels = configuration.task.name, configuration.task.labels
    if not version:
        return None, "there is no champion yet"
    if version_tags(model, version).get("data.generated") == "true" and not source["generated"]:
        return None, f"version {version} was trained on generated data"
    predictor = Predictor(version_files(model, version) / "package", workspace().features)
    if set(predictor.labels) != set(labels):
        return None, f"version {version} answers with other labels ({', '.join(predictor.labels)})"
    folder = (
        Path(source["images"]) if source["images"] and "image" not in kinds_of(configuration.inputs) else None
    )
    images, limits = folder if folder and folder.is_dir() else None, configuration.images
    pairs = trained_pairs(model, version)
    return Champion(
        version, predictor, labels, pairs, images, limits.max_pixels, limits.max_decoded_bytes
    ), ""
