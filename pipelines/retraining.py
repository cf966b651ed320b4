"""Retraining: from what the data set holds now to a new version, and to a new champion if it is better."""

import logging

from zenml import pipeline

from entailment.configuration.configuration import Configuration
from pipelines.preparation import RUN, prepare, with_absolute_paths
from steps import drift, evaluate, judge, register, train
from tracking.experiment import tracker_settings

_LOG = logging.getLogger(__name__)


@pipeline(name="retraining", enable_cache=False, **RUN)
def retraining(configuration: Configuration, force: bool = False) -> None:
    """Look, ingest, resolve images, split, write records, encode, compare with the training data, train, evaluate,
    judge challenger and champion, register and move the aliases.

    Ends at once when there is nothing new, unless `force`. Nothing is taken from the cache: on a schedule the
    configuration is fixed, and each step looks at what is there when it runs.
    """
    config = with_lasting_split(with_absolute_paths(configuration))
    model = config.of_model()
    tracked = tracker_settings(config.task.name)
    prepared = prepare(config, only_new=not force)
    records, features, splits = prepared.records, prepared.features, prepared.splits
    source, report, champion = prepared.source, prepared.split_report, prepared.champion
    drifted = drift.with_options(settings=tracked)(
        records, features, splits, source, champion, config, prepared.encoders
    )
    head, course = train.with_options(settings=tracked)(
        records,
        splits,
        features,
        source,
        prepared.image_report,
        report,
        model,
        prepared.encoders,
        after=drifted,
    )
    evaluated = evaluate.with_options(settings=tracked)(
        records, features, head, splits, report, course, model, config.evaluation
    )
    decision = judge.with_options(settings=tracked)(
        records, features, head, splits, report, source, champion, config, after=evaluated
    )
    images = prepared.image_report
    register(head, splits, report, source, images, evaluated, model, config.evaluation, decision)


def with_lasting_split(configuration: Configuration) -> Configuration:
    """The configuration with a split that keeps test rows test rows while the data grow."""
    if configuration.split.method != "hash":
        _LOG.info(
            "split.method: hash instead of %s, because a retraining's test rows must stay the same as the data grow.",
            configuration.split.method,
        )
    split = configuration.split.model_copy(update={"method": "hash"})
    return configuration.model_copy(update={"split": split})
