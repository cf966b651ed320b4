"""Write texts and images as TFRecord files."""

import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
from zenml import step

from entailment.configuration.inputs import InputsConfiguration
from entailment.records.manifest import RecordsFolder
from entailment.records.writing import records_key, write_records
from entailment.workspace import workspace
from materializers.records import RecordsMaterializer
from steps.fingerprint import cached_by, fingerprint


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(output_materializers={"records": RecordsMaterializer}, cache_policy=cached_by(code))
def write_tfrecords(
    splits: pd.DataFrame, configuration: InputsConfiguration, found_images: dict[str, str]
) -> Annotated[RecordsFolder, "records"]:
    """Writes every kind of input, images resized; `found_images` makes changed files run anew."""
    places = workspace()
    folder = Path(tempfile.mkdtemp(dir=places.scratch))
    with places.sharing_records(lambda: records_key(splits, configuration, code()), folder) as there:
        if not there:
            write_records(splits, folder, configuration)
    return RecordsFolder.at(folder)
