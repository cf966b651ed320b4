"""The main job: from raw pairs to a registered model in seven steps."""

from dataclasses import dataclass
from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode, ExecutionStatus

from entailment.configuration.configuration import Configuration
from entailment.encoders.feature_store import Usage
from entailment.files import locked
from entailment.home import home
from entailment.input_state import InputState, input_state
from pipelines.preparation import prepare, with_absolute_paths
from stacks.cache import forget_lost_results
from stacks.tracker import use_stack_s_tracker
from steps import evaluate, register, train
from tracking.experiment import tracker_settings
from tracking.registry import champion_version


@dataclass(frozen=True)
class TrainingResult:
    """What a run of the pipeline came to."""

    cached: list[str]
    """Names of the steps whose results were taken from an earlier run."""
    steps: int
    """How many steps there are."""
    source: dict[str, Any]
    image_report: dict[str, Any]
    split_report: dict[str, Any]
    features: Usage
    """What the feature store was asked for when the model was trained and evaluated."""
    metrics: dict[str, float]
    run_id: str
    """Of the MLflow run."""
    model: str
    """Name of the registered model."""
    model_version: str
    champion: str
    """The version that is champion now."""
    confidence: float
    """Level of the confidence intervals."""


@pipeline(name="training", execution_mode=ExecutionMode.FAIL_FAST)
def training(configuration: Configuration, state: InputState) -> None:
    """Ingest, resolve images, split, write records, train, evaluate, register."""
    config, prepared = configuration, prepare(configuration, state)
    tracked = tracker_settings(config.task.name)
    head, tracked_run = train.with_options(settings=tracked)(
        prepared.records,
        prepared.source,
        prepared.image_report,
        prepared.split_report,
        config,
        state.encoders,
    )
    report = evaluate.with_options(settings=tracked)(
        prepared.records,
        head,
        prepared.splits,
        prepared.split_report,
        tracked_run,
        config,
    )
    register.with_options(settings=tracked)(
        head, prepared.splits, prepared.split_report, prepared.source, report, tracked_run, config
    )


def run_training(configuration: Configuration, *, use_cache: bool = True) -> TrainingResult:
    """Runs the pipeline on the active stack; steps whose inputs, settings and code are unchanged are not run.

    Raises:
        EntailmentError: a step found something wrong.
    """
    configuration = with_absolute_paths(configuration)
    with locked(home() / "run.lock", "Another run is going in this home: waiting for its end."):
        state = input_state(configuration)
        forget_lost_results()
        run = training.with_options(enable_cache=use_cache)(configuration, state)
    outputs = {name: step.outputs for name, step in run.steps.items()}

    def load(step: str, output: str) -> Any:
        return outputs[step][output][0].load()

    use_stack_s_tracker()
    registered, report = load("register", "model_version"), load("evaluate", "report")
    return TrainingResult(
        cached=[name for name, step in run.steps.items() if step.status == ExecutionStatus.CACHED],
        steps=len(run.steps),
        source=load("ingest", "source"),
        image_report=load("resolve_image_paths", "image_report"),
        split_report=load("split", "split_report"),
        features=Usage(**load("train", "tracked_run")["features"]) + Usage(**report["features"]),
        metrics=report["metrics"],
        run_id=registered["run_id"],
        model=configuration.task.name,
        model_version=registered["model_version"],
        champion=champion_version(configuration.task.name),
        confidence=configuration.evaluation.confidence,
    )
