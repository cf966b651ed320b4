"""The cross-validation of one configuration over all rows of a data set."""

from typing import Any

from zenml import pipeline

from entailment.configuration.configuration import Configuration
from entailment.trials.trial import Fold
from pipelines.preparation import RUN, prepare, with_absolute_paths
from steps import crossval, fold, trial
from tracking.experiment import tracker_settings


@pipeline(name="cross_validation", **RUN)
def cross_validation(configuration: Configuration, folds: int) -> None:
    """Look, ingest, resolve images, divide into folds, write records, encode, train each fold, summarise."""
    config, tracked = with_absolute_paths(configuration), tracker_settings(configuration.task.name)

    def divide(resolved: Any) -> Any:
        return fold(resolved, config.split, list(config.task.labels), folds, config.seed, without_test=False)

    prepared = prepare(config, divide)
    outcomes, predictions = [], []
    model = config.of_model().of_trials()
    for number in range(1, folds + 1):
        fold_of = Fold(number=number, folds=folds)
        step = f"train_fold_{number}"
        outcome, predicted = trial(
            prepared.records, prepared.features, model, f"fold {number}", fold_of, prepared.encoders, id=step
        )
        outcomes.append(outcome)
        predictions.append(predicted)
    crossval.with_options(settings=tracked)(
        outcomes,
        predictions,
        prepared.records,
        prepared.pairs,
        prepared.source,
        prepared.split_report,
        config.of_model(),
        config.evaluation,
        prepared.encoders,
    )
