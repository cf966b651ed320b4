"""Step 7: register the model that takes raw texts and images."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from zenml import step
from zenml.config import CachePolicy

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.home import home, scratch
from entailment.model.training import TrainedHead
from entailment.reporting.model_card import encoder_record, model_card, training_command
from entailment.serving.package import write_package
from materializers.report import ReportMaterializer
from steps.train import code
from tracking import registry, runs


@step(
    experiment_tracker=True,
    output_materializers={"model_version": ReportMaterializer},
    cache_policy=CachePolicy(cache_func=code),
)
def register(
    head: TrainedHead,
    splits: pd.DataFrame,
    split_report: dict[str, Any],
    source: dict[str, Any],
    report: dict[str, Any],
    tracked_run: dict[str, Any],
    configuration: Configuration,
    decision: dict[str, Any] | None = None,
) -> Annotated[dict[str, Any], "model_version"]:
    """Packs encoders, head and decoding into one model, registers it and moves the aliases.

    `decision` is the promotion gate's, in a retraining.
    """
    runs.expect(tracked_run)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        package = write_package(Path(folder) / "package", head, configuration, home() / "encoders")
        handles = configuration.encoders.handles(configuration.inputs)
        card = model_card(
            model=configuration.task.name,
            run_id=tracked_run["run_id"],
            command=training_command(configuration),
            source=source,
            split_report=split_report,
            configuration=dotted(configuration),
            encoders={role: encoder_record(handle, package / role) for role, handle in handles.items()},
            report=report,
        )
        version = registry.register(configuration.task.name, package, card, splits, source, report, decision)
    return {"run_id": tracked_run["run_id"], "model": configuration.task.name, "model_version": version}
