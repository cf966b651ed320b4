"""Find each pair's images."""

import logging
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.images import MissingImages
from entailment.configuration.task import Inputs
from entailment.data.image_hashes import images_hash
from entailment.data.image_paths import MISSING, UNREADABLE
from entailment.data.image_paths import resolve_image_paths as resolve
from entailment.data.pairs import example_pairs
from entailment.errors import ImageError
from entailment.task import KINDS, MULTIMODAL, PAIR_COLUMNS, columns_of, kinds_of
from entailment.workspace import workspace
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    output_materializers={
        "resolved": PairsMaterializer,
        "image_report": ReportMaterializer,
        "examples": PairsMaterializer,
    },
    cache_policy=cached_by(code),
)
def resolve_image_paths(
    pairs: pd.DataFrame,
    source: dict[str, Any],
    inputs: Inputs,
    missing: MissingImages,
    max_pixels: int,
    max_decoded_bytes: int,
    found_images: dict[str, str],
) -> tuple[
    Annotated[pd.DataFrame, "resolved"],
    Annotated[dict[str, Any], "image_report"],
    Annotated[pd.DataFrame, "examples"],
]:
    """Adds path, status and reason of each image, and takes examples to be shown.

    `found_images` makes a changed folder run anew.
    """
    seen = "image" in kinds_of(inputs)
    folder = Path(source["images"]) if source["images"] and seen else None
    resolved, report = resolve(
        pairs, folder, missing=missing, max_pixels=max_pixels, max_decoded_bytes=max_decoded_bytes
    )
    if folder:
        for problem in report.problems:
            _LOG.warning("%s", problem)
        if more := sum(side[MISSING] + side[UNREADABLE] for side in report.counts.values()) - len(
            report.problems
        ):
            _LOG.warning("And %d more images that are missing or cannot be read.", more)
    further = [name for name in KINDS if set(columns_of(name)) <= set(pairs.columns) - set(PAIR_COLUMNS)]
    if seen and report.usable == 0 and not (inputs == MULTIMODAL and further):
        raise ImageError(
            f"No image of {source['file']} can be used, and --inputs {inputs} needs images. Give their folder with"
            " --images FOLDER (files named <id>.<ext>), or train on texts alone with --inputs text."
        )
    content = images_hash(pairs, folder, workspace().image_hashes) if folder else ""
    return resolved, report.as_dict() | {"sha256": content}, example_pairs(resolved)
