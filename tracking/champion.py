"""The champion, loaded from the registry."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from entailment.configuration.configuration import Configuration
from entailment.promotion.champion import Champion
from entailment.serving.predictor import Predictor
from entailment.task import kinds_of
from entailment.workspace import workspace
from tracking.registry import trained_pairs, version_files, version_tags


@contextmanager
def load_champion(
    version: str, source: Mapping[str, Any], configuration: Configuration
) -> Iterator[tuple[Champion | None, str]]:
    """The registered version, answering through the feature store; or None and why it is not to be compared with.

    It answers as long as the block lasts: what was fetched from a store elsewhere is removed then. `version` is ""
    where there is no champion. One that was trained on generated data yields to any on other data. `source` (what
    `ingest` gives) names the folder of images.
    """
    model, labels = configuration.task.name, configuration.task.labels
    if not version:
        yield None, "there is no champion yet"
        return
    if version_tags(model, version).get("data.generated") == "true" and not source["generated"]:
        yield None, f"version {version} was trained on generated data"
        return
    with version_files(model, version) as files:
        predictor = Predictor(files / "package", workspace().features)
        if set(predictor.labels) != set(labels):
            yield None, f"version {version} answers with other labels ({', '.join(predictor.labels)})"
            return
        folder = (
            Path(source["images"])
            if source["images"] and "image" not in kinds_of(configuration.inputs)
            else None
        )
        images, limits = folder if folder and folder.is_dir() else None, configuration.images
        pairs = trained_pairs(files)
        yield (
            Champion(version, predictor, labels, pairs, images, limits.max_pixels, limits.max_decoded_bytes),
            "",
        )
