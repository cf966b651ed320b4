"""Step 2: find each pair's images."""

import logging
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from zenml import step
from zenml.config import CachePolicy

from entailment.configuration.images import MissingImages
from entailment.configuration.task import Inputs
from entailment.data.image_paths import resolve_image_paths as resolve
from entailment.errors import ImageError
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.code_fingerprint import code_fingerprint

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return code_fingerprint(__name__)


@step(
    output_materializers={"resolved": PairsMaterializer, "image_report": ReportMaterializer},
    cache_policy=CachePolicy(cache_func=code),
)
def resolve_image_paths(
    pairs: pd.DataFrame,
    source: dict[str, Any],
    inputs: Inputs,
    missing: MissingImages,
    max_pixels: int,
    max_decoded_bytes: int,
    images_state: str,
) -> tuple[Annotated[pd.DataFrame, "resolved"], Annotated[dict[str, Any], "image_report"]]:
    """Adds path, status and reason of each image; `images_state` makes a changed folder run anew."""
    folder = Path(source["images"]) if source["images"] and inputs != "text" else None
    resolved, report = resolve(
        pairs, folder, missing=missing, max_pixels=max_pixels, max_decoded_bytes=max_decoded_bytes
    )
    if folder:
        for problem in report.problems:
            _LOG.warning("%s", problem)
    if inputs != "text" and report.usable == 0:
        raise ImageError(
            f"No image of {source['file']} can be used, and --inputs {inputs} needs images. Give their folder with"
            " --images FOLDER (files named <id>.<ext>), or train on texts alone with --inputs text."
        )
    return resolved, report.as_dict()
