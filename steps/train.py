"""Train the head on the features, or encoders with it."""

from dataclasses import asdict
from typing import Annotated, Any

import pandas as pd
from zenml import get_step_context, step

from entailment.configuration.model import ModelConfiguration
from entailment.model.end_to_end import Workplace, features_of, train_model
from entailment.model.feature_index import FeatureIndex
from entailment.model.training import TrainedHead
from entailment.records.manifest import RecordsFolder, read_manifest
from entailment.workspace import workspace
from materializers.head import HeadMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from tracking import runs
from tracking.reports import log_raw_pairs


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    experiment_tracker=True,
    output_materializers={"head": HeadMaterializer, "course": ReportMaterializer},
    cache_policy=cached_by(code),
)
def train(
    records: RecordsFolder,
    splits: pd.DataFrame,
    features: FeatureIndex,
    source: dict[str, Any],
    image_report: dict[str, Any],
    split_report: dict[str, Any],
    configuration: ModelConfiguration,
    encoder_state: dict[str, str],
) -> tuple[Annotated[TrainedHead, "head"], Annotated[dict[str, Any], "course"]]:
    """Trains the configured head, logging settings, the data's facts, a picture of some pairs (of `splits`) and every
    epoch; gives all that it logged but the picture.
    """
    places = workspace()
    undecodable = {"undecodable": read_manifest(records.path)["unreadable"]}
    reports = {"image_report": image_report | undecodable, "split_report": split_report}
    start = runs.start(configuration, source, encoder_state, reports)
    log_raw_pairs(splits, configuration)
    known = features_of(features, configuration, places.encoders, places.features)
    parts = [known.split(records.path, name) for name in ("train", "validation")]
    place = Workplace(records.path, places.encoders, places.scratch)
    head = train_model(*parts, configuration, place, runs.log_epoch)
    usage = features.usage(get_step_context().pipeline_run.name) + known.usage
    runs.log_feature_usage(usage, "train")
    return head, {**start, "history": head.history, "ended": head.ended, "features": asdict(usage)}
