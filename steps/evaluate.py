"""Step 6: judge the head on the test split."""

from dataclasses import asdict
from typing import Annotated, Any

import pandas as pd
from zenml import step
from zenml.config import CachePolicy

from entailment.configuration.configuration import Configuration
from entailment.evaluation.report import evaluate_split
from entailment.home import home
from entailment.model.end_to_end import tuned_featurizer
from entailment.model.training import TrainedHead
from entailment.records.records import RecordsFolder
from entailment.reporting.evaluation_page import evaluation_figures
from entailment.reporting.markdown import table_records
from materializers.report import ReportMaterializer
from steps.train import code
from tracking import runs


@step(
    experiment_tracker=True,
    output_materializers={"report": ReportMaterializer},
    cache_policy=CachePolicy(cache_func=code),
)
def evaluate(
    records: RecordsFolder,
    head: TrainedHead,
    splits: pd.DataFrame,
    split_report: dict[str, Any],
    tracked_run: dict[str, Any],
    configuration: Configuration,
) -> Annotated[dict[str, Any], "report"]:
    """Computes figures, predictions and pictures of the test split and logs them to the run of `train`."""
    runs.expect(tracked_run)
    featurizer = tuned_featurizer(head, configuration, home() / "encoders", home() / "features")
    evaluated = evaluate_split(
        records.path,
        head,
        featurizer,
        split_report["counts"],
        configuration.evaluation,
        configuration.seed,
        splits,
    )
    runs.log_evaluation(evaluated, evaluation_figures(evaluated, head))
    runs.log_feature_usage(featurizer.usage)
    return {
        "metrics": evaluated.final_metrics(),
        "classes": evaluated.classification_report,
        "slices": table_records(evaluated.slices),
        "missing_modalities": table_records(evaluated.missing_modalities),
        "calibration": evaluated.calibration,
        "features": asdict(featurizer.usage),
    }
