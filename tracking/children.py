"""Child runs in MLflow: one for each variant, fold or trial below the active run."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.reporting.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Child:
    """What a child run holds; it stands alone, with all its parameters and tags (the UI filters by them)."""

    name: str
    configuration: Configuration
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    """Final figures."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By name one value an epoch."""
    reports: Mapping[str, Any] = field(default_factory=dict)
    """By file name what is stored as JSON."""
    figures: "Mapping[str, Figure]" = field(default_factory=dict)
    """By file name."""
    failed: str = ""
    """Why there is no result; the run is then marked as failed."""
    stopped: bool = False
    """Whether it was ended early on purpose; the run is then marked as killed."""


def log_child(child: Child) -> str:
    """Logs one child of the active run; returns its id."""
    # The note is what the UI shows on the run's page.
    failed = {"error": child.failed, MLFLOW_RUN_NOTE: child.failed} if child.failed else {}
    with mlflow.start_run(run_name=child.name, nested=True, tags={**child.tags, **failed}) as run:
        mlflow.log_params(dotted(child.configuration))
        _log_curves(run.info.run_id, child.curves)
        mlflow.log_metrics(dict(child.metrics))
        for name, report in child.reports.items():
            mlflow.log_dict(report, name)
        log_figures(child.figures)
    if child.failed or child.stopped:
        MlflowClient().set_terminated(run.info.run_id, "FAILED" if child.failed else "KILLED")
    return str(run.info.run_id)


def log_figures(figures: "Mapping[str, Figure]") -> None:
    """Logs figures to the active run under their file names."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, figure in figures.items():
            save_figure(figure, Path(scratch) / name)
        if figures:
            mlflow.log_artifacts(scratch)


def _log_curves(run_id: str, curves: Mapping[str, Sequence[float]]) -> None:
    now = int(time.time() * 1000)
    points = [
        Metric(name, value, now, epoch)
        for name, values in curves.items()
        for epoch, value in enumerate(values)
    ]
    for start in range(0, len(points), 1000):  # as many as MLflow takes at once
        MlflowClient().log_batch(run_id, metrics=points[start : start + 1000])
