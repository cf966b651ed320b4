"""What a run holds in MLflow: parameters, tags, curves, figures and files."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.encoders.feature_store import Usage
from entailment.errors import EntailmentError
from entailment.evaluation.report import EvaluatedSplit
from entailment.evaluation.slices import FEWEST_ROWS
from entailment.promotion.drift import COLUMNS as DRIFT_COLUMNS
from entailment.promotion.drift import DriftReport
from entailment.reporting.drift_page import drift_figure, drift_markdown
from entailment.reporting.evaluation_page import missing_markdown, slices_markdown
from entailment.reporting.figures import save_figure
from entailment.reporting.markdown import table_records
from tracking.children import log_figures

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_NOTE: Final = 8000
"""Characters that an MLflow tag holds; the table's file is whole."""


def log_start(configuration: Configuration, source: Mapping[str, Any], encoders: Mapping[str, str]) -> str:
    """Logs the whole configuration as parameters and the data's facts as tags to the active run; its id."""
    mlflow.log_params(dotted(configuration))
    mlflow.set_tags(facts(configuration, source, encoders))
    return active_run_id()


def facts(
    configuration: Configuration, source: Mapping[str, Any], encoders: Mapping[str, str]
) -> dict[str, str]:
    """The tags of a run: data set, inputs, loss and encoders, and whether the data are generated."""
    version = {} if source["version"] is None else {"dataset.version": str(source["version"])}
    return {
        **version,
        "dataset": source["name"],
        "dataset.sha256": source["sha256"],
        "inputs": configuration.inputs,
        "loss": configuration.training.loss,
        "encoder.text": configuration.encoders.text.encoder,
        "encoder.image": configuration.encoders.image.encoder,
        "data.generated": str(source["generated"]).lower(),
    } | {f"encoder.{name}.sha256": digest for name, digest in encoders.items()}


def log_table(table: "pd.DataFrame", name: str, markdown: str) -> None:
    """Logs a table as `<name>.csv` and what is to be read as `<name>.md`."""
    mlflow.log_text(table.to_csv(index=False), f"{name}.csv")
    mlflow.log_text(markdown, f"{name}.md")


def log_comparison(
    table: "pd.DataFrame", markdown: str, inputs: Iterable[str], losses: Iterable[str]
) -> None:
    """Logs the table of a comparison, also as the run's note, and tags the run with all that it compares.

    So no filter for one loss or one kind of input finds the run that only holds the others together.
    """
    log_table(table, "comparison", markdown)
    tags = {"inputs": ", ".join(dict.fromkeys(inputs)), "loss": ", ".join(dict.fromkeys(losses))}
    mlflow.set_tags(tags | {MLFLOW_RUN_NOTE: markdown[:_NOTE]})


def log_tags(tags: Mapping[str, str]) -> None:
    """Adds tags to the active run."""
    mlflow.set_tags(dict(tags))


def log_metrics(figures: Mapping[str, float]) -> None:
    """Logs final figures to the active run."""
    mlflow.log_metrics(dict(figures))


def log_predictions(predictions: "pd.DataFrame") -> None:
    """Logs a table of predictions to the active run as `predictions.parquet`."""
    with tempfile.TemporaryDirectory() as scratch:
        predictions.to_parquet(Path(scratch) / "predictions.parquet", index=False)
        mlflow.log_artifacts(scratch)


def log_epoch(epoch: int, figures: Mapping[str, float]) -> None:
    """Logs one epoch's figures while training goes on; what an attempt that died has logged is not logged twice."""
    history = mlflow.MlflowClient().get_metric_history(active_run_id(), next(iter(figures)))
    if all(point.step != epoch for point in history):
        mlflow.log_metrics(dict(figures), step=epoch)


def log_reports(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Logs dictionaries as JSON artifacts named after their keys."""
    for name, report in reports.items():
        mlflow.log_dict(dict(report), f"{name}.json")


def log_feature_usage(usage: Usage) -> None:
    """Adds to the active run's tags how many features came from the store, were encoded, and what that saved."""
    tags = mlflow.get_run(active_run_id()).data.tags
    for name, value in asdict(usage).items():
        before = float(tags.get(f"features.{name}", 0))
        mlflow.set_tag(f"features.{name}", f"{before + value:.0f}")


def feature_usage(run_id: str) -> dict[str, int]:
    """What `log_feature_usage` has added up for a run, by name."""
    tags = mlflow.get_run(run_id).data.tags
    return {name: int(float(tags.get(f"features.{name}", 0))) for name in ("hits", "misses")}


def log_drift(report: DriftReport) -> None:
    """Logs table, page and figure of a drift report, and tags what has drifted."""
    import pandas as pd

    table = pd.DataFrame([dict(row) for row in report.measures], columns=list(DRIFT_COLUMNS))
    log_table(table, "drift", drift_markdown(report))
    mlflow.log_dict(report.as_dict(), "drift.json")
    mlflow.set_tag("drift", ", ".join(report.drifted) or ("not measured" if report.not_measured else "none"))
    if report.measures:
        log_figures({"drift.png": drift_figure(report)})


def log_evaluation(evaluated: EvaluatedSplit, figures: "Mapping[str, Figure]") -> None:
    """Logs the final figures, tables and pictures (by file name) of the test split."""
    mlflow.log_metrics(evaluated.final_metrics())
    mlflow.log_dict(evaluated.confusion, "confusion_matrix.json")
    mlflow.log_dict(evaluated.classification_report, "classification_report.json")
    mlflow.log_dict(evaluated.calibration, "calibration.json")
    slices = table_records(evaluated.slices)
    log_table(evaluated.slices, "slices", slices_markdown(slices))
    mlflow.log_dict({"fewest_rows": FEWEST_ROWS, "slices": slices}, "slices.json")
    if missing := table_records(evaluated.missing_modalities):
        log_table(evaluated.missing_modalities, "missing_modalities", missing_markdown(missing))
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in figures.items():
            save_figure(figure, Path(scratch) / name)
        mlflow.log_artifacts(scratch)
    log_predictions(evaluated.predictions)


def expect(tracked: Mapping[str, Any]) -> None:
    """Checks that the active run is the one that `train` began. Raises EntailmentError otherwise."""
    if active_run_id() != tracked["run_id"]:
        raise EntailmentError(
            f"The MLflow run {tracked['run_id']} of the training step is no longer there. Run again with --no-cache."
        )


def active_run_id() -> str:
    """The id of the run that ZenML's experiment tracker started for this step."""
    run = mlflow.active_run()
    if run is None:
        raise EntailmentError("No MLflow run is active: the stack has no experiment tracker.")
    return str(run.info.run_id)


def set_aside(name: str) -> None:
    """Renames and deletes the runs called `name`: an attempt that died logged to them, and the next begins anew."""
    client = mlflow.MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, f'tags.mlflow.runName = "{name}"'):
        client.set_tag(run.info.run_id, "mlflow.runName", f"{name} (died)")
        client.set_terminated(run.info.run_id, "KILLED")
        client.delete_run(run.info.run_id)
