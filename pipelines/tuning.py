"""The search for a better configuration, on validation folds alone."""

from typing import Any

from zenml import pipeline

from entailment.configuration.configuration import Configuration
from pipelines.preparation import RUN, prepare, with_absolute_paths
from steps import fold, search
from tracking.experiment import tracker_settings


@pipeline(name="tuning", **RUN)
def tuning(configuration: Configuration, folds: int, trials: int, fixed: list[str]) -> None:
    """Look, ingest, resolve images, divide what is not the test split into folds, write records, encode, search."""
    config, tracked = with_absolute_paths(configuration), tracker_settings(configuration.task.name)

    def divide(resolved: Any) -> Any:
        return fold(resolved, config.split, list(config.task.labels), folds, config.seed, without_test=True)

    prepared = prepare(config, divide)
    search.with_options(settings=tracked)(
        prepared.records,
        prepared.features,
        prepared.source,
        prepared.split_report,
        config,
        prepared.encoders,
        folds,
        trials,
        fixed,
    )
