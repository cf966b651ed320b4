"""A step of the retraining: compare the new rows with those that the champion was trained on."""

import logging
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.configuration import Configuration
from entailment.errors import DataError
from entailment.model.end_to_end import features_of
from entailment.model.feature_index import FeatureIndex
from entailment.model.features import configured_featurizer
from entailment.promotion.champion import drift_configuration, measure_drift
from entailment.records.manifest import RecordsFolder
from entailment.task import SPLITS
from entailment.workspace import workspace
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, never
from tracking import runs
from tracking.champion import load_champion, warn_of_other_data
from tracking.reports import log_drift

_LOG = logging.getLogger(__name__)


@step(
    experiment_tracker=True,
    output_materializers={"drift": ReportMaterializer},
    cache_policy=cached_by(never),
)
def drift(
    records: RecordsFolder,
    features: FeatureIndex,
    splits: pd.DataFrame,
    source: dict[str, Any],
    champion: str,
    configuration: Configuration,
    encoder_state: dict[str, str],
) -> Annotated[dict[str, Any], "drift"]:
    """Logs table and figure; a measure above its threshold is a warning, or ends the run (drift.action)."""
    runs.start(configuration.of_model(), source, encoder_state)
    warn_of_other_data(configuration.task.name, source["name"])
    plain = drift_configuration(configuration)
    places = workspace()
    folders = places.encoders, places.features
    # Encoders that are trained are in no index: as they were before, they tell old rows from new ones too.
    if configuration.encoders.trained(configuration.inputs):
        known = configured_featurizer(plain, *folders)
    else:
        known = features_of(features, plain, *folders)
    parts = [known.split(records.path, name) for name in SPLITS]
    # Opened now, the champion's store of features has what was just encoded.
    with load_champion(champion, source, configuration) as (loaded, why):
        report = measure_drift(parts, splits, loaded, configuration, why)
    usage = known.usage + loaded.predictor.usage if loaded else known.usage
    runs.log_feature_usage(usage, "drift")
    log_drift(report)
    if report.drifted:
        _LOG.warning("DRIFT: %s.", report.summary)
        if configuration.drift.action == "stop":
            raise DataError(
                f"Drift: {report.summary}. Nothing was trained (drift.action is stop). Look at drift.md of the run;"
                " if the new rows are right, run again with --set drift.action=warn."
            )
    return report.as_dict()
