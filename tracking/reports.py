"""What is logged of an evaluation and of a drift report: figures, tables, pages and pictures."""

from collections.abc import Mapping
from typing import Any

import mlflow
import pandas as pd

from entailment.configuration.model import ModelConfiguration
from entailment.evaluation.report import EvaluatedSplit
from entailment.evaluation.slices import FEWEST_ROWS
from entailment.model.training import TrainedHead
from entailment.promotion.drift import COLUMNS, DriftReport
from entailment.reporting.drift_page import drift_figure, drift_markdown
from entailment.reporting.evaluation_page import (
    evaluation_figures,
    missing_markdown,
    rows_to_read,
    slices_markdown,
)
from entailment.reporting.markdown import table_records
from entailment.reporting.raw_pairs import raw_pairs_figure
from tracking.figures import log_figures
from tracking.runs import log_predictions, log_rows, log_table


def log_evaluation(
    evaluated: EvaluatedSplit, head: TrainedHead, configuration: ModelConfiguration, splits: pd.DataFrame
) -> None:
    """Logs the final figures, tables and pictures of the test split; `splits`: the pairs with their texts."""
    mlflow.log_metrics(evaluated.final_metrics())
    mlflow.log_dict(evaluated.confusion, "confusion_matrix.json")
    mlflow.log_dict(evaluated.classification_report, "classification_report.json")
    mlflow.log_dict(evaluated.calibration, "calibration.json")
    slices = table_records(evaluated.slices)
    log_table(evaluated.slices, "slices", slices_markdown(slices))
    mlflow.log_dict({"fewest_rows": FEWEST_ROWS, "slices": slices}, "slices.json")
    if missing := table_records(evaluated.missing_modalities):
        log_table(evaluated.missing_modalities, "missing_modalities", missing_markdown(missing))
    log_figures(evaluation_figures(evaluated, head, configuration))
    log_predictions(evaluated.predictions)
    rows = rows_to_read(evaluated.predictions, splits, configuration.task.labels)
    log_rows(rows, "predictions.json")


def log_raw_pairs(
    examples: pd.DataFrame, split_report: Mapping[str, Any], configuration: ModelConfiguration
) -> None:
    """Logs a picture of some pairs as they come."""
    log_figures({"raw_pairs.png": raw_pairs_figure(examples, split_report["counts"], configuration)})


def log_drift(report: DriftReport) -> None:
    """Logs table, page and figure of a drift report, and tags what has drifted."""
    table = pd.DataFrame([dict(row) for row in report.measures], columns=list(COLUMNS))
    log_table(table, "drift", drift_markdown(report))
    mlflow.log_dict(report.as_dict(), "drift.json")
    mlflow.set_tag("drift", ", ".join(report.drifted) or ("not measured" if report.not_measured else "none"))
    if report.measures:
        log_figures({"drift.png": drift_figure(report)})
