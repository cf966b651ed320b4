"""Encode every input once."""

import tempfile
from pathlib import Path
from typing import Annotated

from zenml import get_step_context, step

from entailment.configuration.inputs import InputsConfiguration
from entailment.model.feature_index import FeatureIndex, write_feature_index
from entailment.model.features import configured_featurizer, feature_folders
from entailment.records.manifest import RecordsFolder
from entailment.workspace import workspace
from materializers.feature_index import FeatureIndexMaterializer
from steps.fingerprint import cached_by, fingerprint


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(output_materializers={"features": FeatureIndexMaterializer}, cache_policy=cached_by(code))
def encode(
    records: RecordsFolder, configuration: InputsConfiguration, encoder_state: dict[str, str]
) -> Annotated[FeatureIndex, "features"]:
    """Keeps the vectors of frozen encoders in the feature store and gives their keys; others are not run."""
    places = workspace()
    config = configuration.with_image_size(records.image_size)
    folder = Path(tempfile.mkdtemp(dir=places.scratch))
    with places.sharing_features(feature_folders(config, places.encoders)):
        featurizer = configured_featurizer(config, places.encoders, places.features)
        write_feature_index(featurizer, records.path, folder, get_step_context().pipeline_run.name)
    return FeatureIndex.at(folder)
