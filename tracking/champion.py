"""The champion, loaded from the registry."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from entailment.configuration.configuration import Configuration
from entailment.promotion.champion import Champion
from entailment.serving.predictor import Predictor
from entailment.task import kinds_of
from entailment.workspace import workspace
from tracking.registry import champion_version, trained_pairs, version_files, version_tags

_LOG = logging.getLogger(__name__)


def warn_of_other_data(model: str, dataset: str) -> None:
    """Says so where the champion of `model` was trained on another data set than `dataset`, by name or path.

    Generated data are no such case: their champion yields to any other.
    """
    version, name = champion_version(model), re.sub(r"@\d+$", "", Path(dataset).name)
    tags = version_tags(model, version) if version else {}
    if tags.get("data.generated") != "true" and tags.get("dataset", name) != name:
        _LOG.warning(
            "The champion of %s, version %s, was trained on %s, and this is %s. If these are other data, the two take"
            " the champion from each other: give each data set a model of its own, with --set task.name=NAME.",
            *(model, version, tags["dataset"], name),
        )


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
