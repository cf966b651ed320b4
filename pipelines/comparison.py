"""The comparison: every loss with every kind of input, on the same rows."""

from zenml import pipeline

from entailment.configuration.configuration import Configuration
from entailment.trials.variants import Variant
from pipelines.preparation import RUN, prepare, with_absolute_paths
from steps import compare, trial
from tracking.experiment import tracker_settings


@pipeline(name="comparison", **RUN)
def comparison(configuration: Configuration, variants: list[Variant], seeds: list[int]) -> None:
    """Look, ingest, resolve images, split, write records, encode, train each variant with each seed, compare."""
    config = with_absolute_paths(configuration)
    prepared, tracked = prepare(config, variants=variants), tracker_settings(config.task.name)
    outcomes, predictions = [], []
    for variant in variants:
        model = variant.configured(config).of_model().of_trials()
        for seed in seeds:
            seeded = model.model_copy(update={"seed": seed})
            step = f"train_{variant.name}_{seed}"
            outcome, predicted = trial(
                prepared.records, prepared.features, seeded, variant.name, None, prepared.encoders, id=step
            )
            outcomes.append(outcome)
            predictions.append(predicted)
    compare.with_options(settings=tracked)(
        outcomes,
        predictions,
        prepared.records,
        variants,
        prepared.splits,
        prepared.source,
        prepared.split_report,
        config.of_model(),
        config.evaluation,
        prepared.encoders,
    )
