"""What a run holds in MLflow: parameters, tags, curves, figures and files."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow

from entailment.configuration import Configuration, dotted
from entailment.encoders.feature_store import Usage
from entailment.errors import EntailmentError
from entailment.evaluation.figures import save_figure
from entailment.evaluation.report import EvaluatedSplit
from entailment.evaluation.slices import FEWEST_ROWS, slice_records, slices_markdown
from tracking.experiment import EXPERIMENT

if TYPE_CHECKING:
    import pandas as pd


def log_start(configuration: Configuration, source: Mapping[str, Any], encoders: Mapping[str, str]) -> str:
    """Logs the whole configuration as parameters and the data's facts as tags to the active run; its id."""
    mlflow.log_params(dotted(configuration))
    mlflow.set_tags(facts(configuration, source, encoders))
    return active_run_id()


def facts(
    configuration: Configuration, source: Mapping[str, Any], encoders: Mapping[str, str]
) -> dict[str, str]:
    """The tags of a run: data set, inputs, loss and encoders, and whether the data are generated."""
    return {
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


def log_epoch(epoch: int, figures: Mapping[str, float]) -> None:
    """Logs one epoch's figures while training goes on."""
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


def log_evaluation(evaluated: EvaluatedSplit) -> None:
    """Logs the final figures, tables and pictures of the test split."""
    mlflow.log_metrics(evaluated.metrics.as_dict("test_"))
    mlflow.log_dict(evaluated.confusion, "confusion_matrix.json")
    mlflow.log_dict(evaluated.classification_report, "classification_report.json")
    mlflow.log_dict(evaluated.calibration, "calibration.json")
    slices = slice_records(evaluated.slices)
    log_table(evaluated.slices, "slices", slices_markdown(slices))
    mlflow.log_dict({"fewest_rows": FEWEST_ROWS, "slices": slices}, "slices.json")
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in evaluated.figures.items():
            save_figure(figure, Path(scratch) / name)
        evaluated.predictions.to_parquet(Path(scratch) / "predictions.parquet", index=False)
        mlflow.log_artifacts(scratch)


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
    experiment = client.get_experiment_by_name(EXPERIMENT)
    for run in client.search_runs([experiment.experiment_id], f'tags.mlflow.runName = "{name}"'):
        client.set_tag(run.info.run_id, "mlflow.runName", f"{name} (died)")
        client.set_terminated(run.info.run_id, "KILLED")
        client.delete_run(run.info.run_id)
