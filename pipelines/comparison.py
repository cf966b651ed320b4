"""The comparison: every loss with every kind of input, on the same rows."""

from zenml import pipeline

from entailment.configuration.configuration import Configuration
from entailment.trials.variants import Variant
from pipelines.preparation import RUN, prepare
from steps import compare, train_variant
from tracking.experiment import tracker_settings


@pipeline(name="comparison", **RUN)
def comparison(configuration: Configuration, variants: list[Variant], seeds: list[int]) -> None:
    """Look, ingest, resolve images, split, write records, train each variant with each seed, compare."""
    prepared, tracked = prepare(configuration), tracker_settings(configuration.task.name)
    outcomes, predictions = [], []
    for variant in variants:
        configured = variant.configured(configuration)
        for seed in seeds:
            outcome, predicted = train_variant(
                prepared.records,
                configured.encoders,
                configured.inputs,
                configured.task,
                configured.head,
                configured.training,
                seed,
                prepared.encoders,
                id=f"train_{variant.name}_{seed}",
            )
            outcomes.append(outcome)
            predictions.append(predicted)
    compare.with_options(settings=tracked)(
        outcomes, predictions, prepared.source, prepared.split_report, configuration, prepared.encoders
    )
