"""Child runs in MLflow: one for each variant, fold or trial below the active run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.configuration.section import dotted
from entailment.metric_names import ACCURACY, MACRO_F1, MAJORITY_ACCURACY
from entailment.reporting.description import description, headline, title
from entailment.reporting.figures import confusion_matrix_figure, training_curves_figure
from entailment.reporting.markdown import plain
from tracking.figures import log_figures
from tracking.runs import log_curves, log_datasets

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Child:
    """What a child run holds; it stands alone, with all its parameters and tags (the UI filters by them)."""

    name: str
    configuration: ModelConfiguration
    evaluation: Evaluation
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    """Final figures."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By name one value an epoch."""
    ended: Sequence[float] = ()
    """When each epoch ended, in seconds since 1970."""
    reports: Mapping[str, Any] = field(default_factory=dict)
    """By file name what is stored as JSON."""
    figures: "Mapping[str, Figure]" = field(default_factory=dict)
    """By file name."""
    failed: str = ""
    """Why there is no result; the run is then marked as failed."""
    stopped: bool = False
    """Whether it was ended early on purpose; the run is then marked as killed."""


def finished_child(
    name: str,
    configuration: ModelConfiguration,
    evaluation: Evaluation,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[float]],
    ended: Sequence[float],
    confusion: "np.ndarray",
    kept: int | None = None,
) -> Child:
    """A trial that came to its end, with its curves and its confusion matrix, int64 [classes, classes], as pictures.

    `metrics`: the figures of the rows that it answered, under `test/` and `baseline/`; `kept`: the epoch, from 1,
    whose weights were kept, where all curves are of one training.
    """
    labels = configuration.task.labels
    heading = headline(name, *(metrics[one] for one in (MACRO_F1, ACCURACY, MAJORITY_ACCURACY)))
    return Child(
        name,
        configuration,
        evaluation,
        tags,
        metrics,
        curves,
        ended,
        {"confusion_matrix.json": {"labels": list(labels), "counts": confusion.tolist()}},
        {
            "confusion_matrix.png": confusion_matrix_figure(confusion, labels, heading),
            "training_curves.png": training_curves_figure(curves, kept),
        },
    )


def log_child(child: Child) -> str:
    """Logs one child of the active run; returns its id."""
    failed = {"error": child.failed} if child.failed else {}
    told = plain(child.failed) or description(child.tags, child.metrics, child.evaluation.confidence)
    tags = {**child.tags, **failed, MLFLOW_RUN_NOTE: told}  # the note is what the UI shows on the run's page
    with mlflow.start_run(run_name=_run_name(child), nested=True, tags=tags) as run:
        log_datasets(child.tags, {})
        mlflow.log_params(dotted(child.configuration) | dotted(child.evaluation, "evaluation."))
        log_curves(run.info.run_id, child.curves, child.ended)
        mlflow.log_metrics(dict(child.metrics))
        for name, report in child.reports.items():
            mlflow.log_dict(report, name)
        log_figures(child.figures)
    if child.failed or child.stopped:
        MlflowClient().set_terminated(run.info.run_id, "FAILED" if child.failed else "KILLED")
    return str(run.info.run_id)


def _run_name(child: Child) -> str:
    """A variant's inputs and loss; of a fold or a trial, which are called alike in every parent, these behind it."""
    named = title(f"{child.configuration.inputs} {child.configuration.training.loss}")
    return named if title(child.name) == named else f"{child.name} {named}"
