"""Register the model that takes raw texts and images."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
from zenml import step
from zenml.client import Client

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.configuration.section import dotted
from entailment.model.head import kinds_among
from entailment.model.training import TrainedHead
from entailment.reporting.description import dataset_title, description, title
from entailment.reporting.model_card import encoder_record, model_card, training_command
from entailment.serving.package import write_package
from entailment.workspace import workspace
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from tracking import registry, runs

_FURTHER: Final = (
    "Curves, pictures and predictions are in its source run; the whole card is `model_card.md` there."
)


def code() -> str:
    """What this step's code consists of now; the served model is a script that MLflow is given by its path."""
    return fingerprint(__name__, "tracking.pyfunc_model")


@step(output_materializers={"model_version": ReportMaterializer}, cache_policy=cached_by(code))
def register(
    head: TrainedHead,
    splits: pd.DataFrame,
    split_report: dict[str, Any],
    source: dict[str, Any],
    image_report: dict[str, Any],
    report: dict[str, Any],
    configuration: ModelConfiguration,
    evaluation: Evaluation,
    decision: dict[str, Any] | None = None,
) -> Annotated[dict[str, Any], "model_version"]:
    """Packs encoders, head and decoding into one model, registers it with the run of `evaluate`, moves the aliases.

    `decision` is the promotion gate's, in a retraining.
    """
    places = workspace()
    model, run_id = configuration.task.name, report["run_id"]
    # Not a tracked step: the model belongs to the run that judged it, also where that was cached.
    Client().active_stack.experiment_tracker.configure_mlflow()
    with tempfile.TemporaryDirectory(dir=places.scratch) as folder, runs.resumed(run_id):
        package = write_package(Path(folder) / "package", head, configuration, places.encoders)
        handles = configuration.encoders.handles(configuration.inputs)
        card = model_card(
            model=model,
            run_id=run_id,
            command=training_command(configuration, evaluation, source),
            kinds=kinds_among(tensor.name for tensor in head.model.inputs),
            source=source,
            split_report=split_report,
            configuration=dotted(configuration) | dotted(evaluation, "evaluation."),
            encoders={role: encoder_record(handle, package / role) for role, handle in handles.items()},
            report=report,
        )
        facts, counts = runs.facts(configuration, source, {}), split_report["counts"]
        page = description(facts, report["metrics"], evaluation.confidence, counts, _FURTHER)
        data = dataset_title(source["name"], source["version"])
        named = title(f"{configuration.inputs} {configuration.training.loss}", data)
        told = splits, source, image_report, report, decision
        shown = registry.Shown(named, page, card, head.best_epoch)
        version = registry.register(model, package, shown, *told, code=code())
    return {"run_id": run_id, "model": model, "model_version": version}
