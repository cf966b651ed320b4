"""Retraining: from what the data set holds now to a new version, and to a new champion if it is better."""

import logging
from dataclasses import dataclass
from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode

from entailment.configuration.configuration import Configuration
from entailment.data.sources import current_content
from entailment.errors import NothingNewError
from entailment.files import locked
from entailment.home import home
from entailment.input_state import InputState
from pipelines.preparation import prepare, with_absolute_paths
from stacks.tracker import use_stack_s_tracker
from steps import drift, evaluate, find_new_data, judge, register, train
from steps.find_new_data import nothing_new
from tracking.experiment import tracker_settings
from tracking.registry import champion_version, version_trained_on
from tracking.runs import feature_usage

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetrainingResult:
    """What a retraining came to."""

    source: dict[str, Any]
    metrics: dict[str, float]
    drift: dict[str, Any]
    decision: dict[str, Any]
    features_encoded: int
    """How many texts and images the whole run had to encode."""
    run_id: str
    """Of the MLflow run."""
    model: str
    """Name of the registered model."""
    model_version: str
    champion: str
    """The version that is champion now."""


@pipeline(name="retraining", enable_cache=False, execution_mode=ExecutionMode.FAIL_FAST)
def retraining(configuration: Configuration, force: bool = False) -> None:
    """Find new data, ingest, resolve images, split, write records, compare with the training data, train, evaluate,
    judge challenger and champion, register and move the aliases.

    Nothing is taken from the cache: on a schedule the configuration is fixed, and each step looks at what is there
    when it runs. `configuration` is what `retraining_configuration` gives.
    """
    config, tracked = configuration, tracker_settings(configuration.task.name)
    content, champion, encoder_state = find_new_data(config, force)
    prepared = prepare(config, InputState(content, "", encoder_state))
    drifted = drift.with_options(settings=tracked)(
        prepared.records, prepared.splits, prepared.source, champion, config, encoder_state
    )
    head, tracked_run = train.with_options(settings=tracked)(
        prepared.records,
        prepared.source,
        prepared.image_report,
        prepared.split_report,
        config,
        encoder_state,
        after=drifted,
    )
    report = evaluate.with_options(settings=tracked)(
        prepared.records,
        head,
        prepared.splits,
        prepared.split_report,
        tracked_run,
        config,
    )
    decision = judge.with_options(settings=tracked)(
        prepared.records,
        head,
        prepared.splits,
        prepared.split_report,
        prepared.source,
        tracked_run,
        champion,
        config,
    )
    register.with_options(settings=tracked)(
        head, prepared.splits, prepared.split_report, prepared.source, report, tracked_run, config, decision
    )


def retraining_configuration(configuration: Configuration) -> Configuration:
    """The configuration with absolute paths and a split that keeps test rows test rows while the data grow."""
    if configuration.split.method != "hash":
        _LOG.info(
            "split.method: hash instead of %s, because a retraining's test rows must stay the same as the data grow.",
            configuration.split.method,
        )
    split = configuration.split.model_copy(update={"method": "hash"})
    return with_absolute_paths(configuration.model_copy(update={"split": split}))


def check_for_new_data(configuration: Configuration) -> None:
    """Raises NothingNewError when the champion or a retraining's version was trained on just what there is now."""
    use_stack_s_tracker()
    content = current_content(
        configuration.dataset,
        configuration.tweets,
        configuration.ingest,
        configuration.task,
        home() / "datasets",
    )
    if version := version_trained_on(configuration.task.name, content):
        raise NothingNewError(nothing_new(configuration.dataset.source, version))


def run_retraining(configuration: Configuration, *, force: bool = False) -> RetrainingResult:
    """Runs one retraining on the active stack; with `force` also when there is nothing new.

    Raises:
        NothingNewError: a version was trained on just these data.
        EntailmentError: a step found something wrong.
    """
    configuration = retraining_configuration(configuration)
    with locked(home() / "run.lock", "Another run is going in this home: waiting for its end."):
        if not force:
            check_for_new_data(configuration)
        run = retraining(configuration, force)

    def load(step: str, output: str) -> Any:
        return run.steps[step].outputs[output][0].load()

    use_stack_s_tracker()
    registered = load("register", "model_version")
    return RetrainingResult(
        source=load("ingest", "source"),
        metrics=load("evaluate", "report")["metrics"],
        drift=load("drift", "drift"),
        decision=load("judge", "decision"),
        features_encoded=feature_usage(registered["run_id"])["misses"],
        run_id=registered["run_id"],
        model=configuration.task.name,
        model_version=registered["model_version"],
        champion=champion_version(configuration.task.name),
    )
