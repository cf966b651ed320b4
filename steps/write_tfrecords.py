"""Write texts and images as TFRecord files."""

import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step

from entailment.configuration.images import Images
from entailment.configuration.records import Records
from entailment.configuration.task import Inputs
from entailment.records.manifest import RecordsFolder
from entailment.records.writing import RecordsSpec, write_records
from entailment.workspace import workspace
from materializers.records import RecordsMaterializer
from steps.fingerprint import cached_by, fingerprint


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(output_materializers={"records": RecordsMaterializer}, cache_policy=cached_by(code))
def write_tfrecords(
    splits: pd.DataFrame,
    inputs: Inputs,
    images: Images,
    config: Records,
    labels: list[str],
    found_images: dict[str, str],
) -> Annotated[RecordsFolder, "records"]:
    """Writes texts and resized images; `found_images` makes changed files run anew."""
    places = workspace()
    spec = RecordsSpec(
        images.size,
        images.max_pixels,
        config.rows_per_shard,
        images.missing,
        inputs != "text",
        images.max_decoded_bytes,
        tuple(labels),
    )
    folder = Path(tempfile.mkdtemp(dir=places.scratch))
    write_records(splits, folder, spec)
    return RecordsFolder.at(folder)
