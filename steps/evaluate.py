"""Judge the head on the test split."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import pandas as pd
from zenml import step

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.evaluation.report import evaluate_split
from entailment.model.end_to_end import features_of
from entailment.model.feature_index import FeatureIndex
from entailment.model.training import TrainedHead
from entailment.records.manifest import RecordsFolder
from entailment.reporting.description import description
from entailment.reporting.markdown import table_records
from entailment.workspace import workspace
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from tracking import runs
from tracking.reports import log_evaluation, log_raw_pairs

_FURTHER: Final = (
    "Curves by epoch are under Model metrics. Under Artifacts: `confusion_matrix.png`, `slices.md`, `model_card.md`,"
    " `predictions.json` (up to 1,000 rows with their texts, wrong answers first)."
)


def code() -> str:
    """What this step's code consists of now, and what draws its pictures."""
    return fingerprint(__name__, "entailment.reporting.evaluation_page", "entailment.reporting.raw_pairs")


@step(
    experiment_tracker=True,
    output_materializers={"report": ReportMaterializer},
    cache_policy=cached_by(code),
)
def evaluate(
    records: RecordsFolder,
    features: FeatureIndex,
    head: TrainedHead,
    splits: pd.DataFrame,
    examples: pd.DataFrame,
    split_report: dict[str, Any],
    course: dict[str, Any],
    configuration: ModelConfiguration,
    evaluation: Evaluation,
) -> Annotated[dict[str, Any], "report"]:
    """Computes and logs figures, predictions and pictures of the test split; also what `train` did, if cached."""
    places = workspace()
    run_id = runs.go_on(course)
    log_raw_pairs(examples, split_report, configuration)
    runs.log_settings(evaluation, "evaluation.")
    known = features_of(features, configuration, places.encoders, places.features, head)
    evaluated = evaluate_split(
        records.path,
        head,
        known,
        split_report["counts"],
        evaluation,
        configuration.seed,
        splits,
    )
    log_evaluation(evaluated, head, configuration, splits)
    metrics, counts = evaluated.final_metrics(), split_report["counts"]
    runs.log_description(description(course["tags"], metrics, evaluation.confidence, counts, _FURTHER))
    runs.log_feature_usage(known.usage, "evaluate")
    return {
        "run_id": run_id,
        "metrics": metrics,
        "classes": evaluated.classification_report,
        "slices": table_records(evaluated.slices),
        "missing_modalities": table_records(evaluated.missing_modalities),
        "calibration": evaluated.calibration,
        "features": asdict(known.usage),
    }
