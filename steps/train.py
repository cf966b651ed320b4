"""Step 5: encode every text and image once and train the head on the features, or encoders with it."""

from dataclasses import asdict
from typing import Annotated, Any

from zenml import step
from zenml.config import CachePolicy

from entailment.configuration.configuration import Configuration
from entailment.home import home, scratch
from entailment.model.end_to_end import Workplace, train_model
from entailment.model.features import configured_featurizer
from entailment.model.training import TrainedHead
from entailment.records.records import RecordsFolder, read_manifest
from materializers.head import HeadMaterializer
from materializers.report import ReportMaterializer
from steps.code_fingerprint import code_fingerprint
from tracking import runs


def code() -> str:
    """What train, evaluate and register consist of now: they run together or not at all."""
    # The served model is a script that registering names by its path.
    return code_fingerprint(__name__, "steps.evaluate", "steps.register", "tracking.pyfunc_model")


@step(
    experiment_tracker=True,
    output_materializers={"head": HeadMaterializer, "tracked_run": ReportMaterializer},
    cache_policy=CachePolicy(cache_func=code),
)
def train(
    records: RecordsFolder,
    source: dict[str, Any],
    image_report: dict[str, Any],
    split_report: dict[str, Any],
    configuration: Configuration,
    encoder_state: dict[str, str],
) -> tuple[Annotated[TrainedHead, "head"], Annotated[dict[str, Any], "tracked_run"]]:
    """Trains the configured head; logs the whole configuration, the data's facts and every epoch to MLflow."""
    run_id = runs.log_start(configuration, source, encoder_state)
    undecodable = {"undecodable": read_manifest(records.path)["unreadable"]}
    runs.log_reports({"image_report": image_report | undecodable, "split_report": split_report})
    featurizer = configured_featurizer(configuration, home() / "encoders", home() / "features")
    features = [featurizer.split(records.path, name) for name in ("train", "validation")]
    place = Workplace(records.path, home() / "encoders", scratch())
    head = train_model(*features, configuration, place, runs.log_epoch)
    runs.log_feature_usage(featurizer.usage)
    return head, {"run_id": run_id, "features": asdict(featurizer.usage)}
