"""The main job: from raw pairs to a registered model in seven steps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode, ExecutionStatus

from entailment.configuration import Configuration
from entailment.data.image_paths import folder_fingerprint
from entailment.data.sources import SAMPLE, TWEETS, locate
from entailment.encoders.feature_store import Usage
from entailment.encoders.handles import fingerprint, resolve_handle
from entailment.files import locked, sha256_of_file
from entailment.home import home
from stacks.cache import forget_lost_results
from stacks.tracker import use_stack_s_tracker
from steps import evaluate, ingest, register, resolve_image_paths, split, train, write_tfrecords
from tracking.registry import champion_version


@dataclass(frozen=True)
class InputState:
    """What lies on the disk now: a cached step holds only while this is the same."""

    content: str
    """SHA-256 of the CSV file."""
    images: str
    """Over name, size and time of change of every image; "" where none are used."""
    encoders: dict[str, str]
    """Fingerprint of each encoder in use."""


@dataclass(frozen=True)
class TrainingResult:
    """What a run of the pipeline came to."""

    cached: list[str]
    """Names of the steps whose results were taken from an earlier run."""
    source: dict[str, Any]
    image_report: dict[str, Any]
    split_report: dict[str, Any]
    features: Usage
    """What the feature store was asked for when the model was trained and evaluated."""
    metrics: dict[str, float]
    run_id: str
    """Of the MLflow run."""
    model_version: str
    champion: str
    """The version that is champion now."""
    confidence: float
    """Level of the confidence intervals."""


@pipeline(name="training", execution_mode=ExecutionMode.FAIL_FAST)
def training(configuration: Configuration, state: InputState) -> None:
    """Ingest, resolve images, split, write records, train, evaluate, register."""
    config, inputs = configuration, configuration.inputs
    missing = config.images.missing if inputs != "text" else "mask"
    pairs, source = ingest(config.dataset, config.tweets, config.ingest, inputs, state.content)
    resolved, image_report = resolve_image_paths(
        pairs, source, inputs, missing, config.images.max_pixels, state.images
    )
    splits, split_report = split(resolved, config.split, config.seed)
    records = write_tfrecords(
        splits,
        inputs,
        config.images,
        config.records,
        config.encoders.text.preprocessor,
        config.encoders.text.sequence_length,
        state.images,
        state.encoders.get("preprocessor", ""),
    )
    head, tracked_run = train(records, source, image_report, split_report, config, state.encoders)
    report = evaluate(
        records, head, split_report, tracked_run, config.evaluation, config.encoders, inputs, config.seed
    )
    register(head, splits, source, report, tracked_run, config)


def run_training(configuration: Configuration, *, use_cache: bool = True) -> TrainingResult:
    """Runs the pipeline on the active stack; steps whose inputs, settings and code are unchanged are not run.

    Raises:
        EntailmentError: a step found something wrong.
    """
    configuration = _with_absolute_paths(configuration)
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
        source=load("ingest", "source"),
        image_report=load("resolve_image_paths", "image_report"),
        split_report=load("split", "split_report"),
        features=Usage(**load("train", "tracked_run")["features"]) + Usage(**report["features"]),
        metrics=report["metrics"],
        run_id=registered["run_id"],
        model_version=registered["model_version"],
        champion=champion_version(),
        confidence=configuration.evaluation.confidence,
    )


def _with_absolute_paths(configuration: Configuration) -> Configuration:
    """The same words typed in another folder mean another data set: the cache must see which."""
    dataset = configuration.dataset
    update = {"images": str(Path(dataset.images).expanduser().resolve())} if dataset.images else {}
    if dataset.source not in (SAMPLE, TWEETS):
        update["source"] = str(Path(dataset.source).expanduser().resolve())
    return configuration.model_copy(update={"dataset": dataset.model_copy(update=update)})


def input_state(configuration: Configuration) -> InputState:
    """Looks at the data set and the encoders, generating, downloading or building what is not there yet."""
    with_images = configuration.inputs != "text"
    source = locate(configuration.dataset, configuration.tweets, home() / "datasets", with_images=with_images)
    images = folder_fingerprint(source.images) if with_images else ""
    handles = configuration.encoders.handles(configuration.inputs)
    found = {name: resolve_handle(handle, home() / "encoders") for name, handle in handles.items()}
    encoders = {name: fingerprint(module) for name, module in found.items()}
    return InputState(sha256_of_file(source.csv), images, encoders)
