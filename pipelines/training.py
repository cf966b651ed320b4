"""The main job: from raw pairs to a registered model in nine steps."""

from zenml import pipeline

from entailment.configuration.configuration import Configuration
from pipelines.preparation import RUN, prepare, with_absolute_paths
from steps import evaluate, register, train
from tracking.experiment import tracker_settings


@pipeline(name="training", **RUN)
def training(configuration: Configuration) -> None:
    """Look, ingest, resolve images, split, write records, encode, train, evaluate, register."""
    config = with_absolute_paths(configuration)
    model = config.of_model()
    prepared, tracked = prepare(config), tracker_settings(config.task.name)
    source, report = prepared.source, prepared.split_report
    head, course = train.with_options(settings=tracked)(
        prepared.records,
        prepared.splits,
        prepared.features,
        source,
        prepared.image_report,
        report,
        model,
        prepared.encoders,
    )
    evaluated = evaluate.with_options(settings=tracked)(
        prepared.records, prepared.features, head, prepared.splits, report, course, model, config.evaluation
    )
    register(
        head, prepared.splits, report, source, prepared.image_report, evaluated, model, config.evaluation
    )
