"""Runs any of the pipelines on the active stack, waits for its end, and loads what came of it."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.exceptions import SettingsResolvingError, StackValidationError, StepInterfaceError

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import RunConfiguration, as_yaml, with_values
from entailment.data.versions import fetch_versions, find_version
from entailment.encoders.feature_store import Usage
from entailment.errors import ConfigurationError, EntailmentError
from entailment.files import locked, written_aside
from entailment.reporting.description import dataset_title, title
from entailment.task import kinds_of
from entailment.trials.variants import Variant
from entailment.workspace import workspace
from pipelines.comparison import comparison
from pipelines.cross_validation import cross_validation
from pipelines.preparation import with_absolute_paths
from pipelines.retraining import retraining
from pipelines.training import training
from pipelines.tuning import tuning
from stacks.killed_runs import end_killed_runs
from stacks.local import is_active
from stacks.tracker import use_stack_s_tracker
from steps.look import check_for_new_data as check_data
from tracking.registry import champion_version
from tracking.runs import feature_usage

_BETWEEN_LOOKS: Final = 2
"""Seconds, while a run goes on elsewhere."""


class FinishedRun:
    """A run of a pipeline that came to its end."""

    def __init__(self, run: Any) -> None:
        """Waits for the end of `run`, which may be elsewhere. Raises EntailmentError when it failed there."""
        while not run.status.is_finished:
            time.sleep(_BETWEEN_LOOKS)
            run = Client().get_pipeline_run(run.id)
        if not run.status.is_successful:
            raise EntailmentError(
                f"The run {run.name} ended as {run.status}. See its steps: zenml pipeline runs list, or the"
                " orchestrator's own pages."
            )
        self.steps: Mapping[str, Any] = run.steps
        use_stack_s_tracker()

    def load(self, step: str, output: str) -> Any:
        """What a step gave."""
        return self.steps[step].outputs[output][0].load()

    @property
    def cached(self) -> list[str]:
        """Names of the steps whose results were taken from an earlier run."""
        return [name for name, step in self.steps.items() if step.status == ExecutionStatus.CACHED]


@dataclass(frozen=True)
class TrainingResult:
    """What a run of the main job came to."""

    cached: list[str]
    """Names of the steps whose results were taken from an earlier run."""
    steps: int
    """How many steps there are."""
    source: dict[str, Any]
    image_report: dict[str, Any] | None
    """None where the model sees no images."""
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


@dataclass(frozen=True)
class ComparisonResult:
    """What a comparison came to."""

    cached: int
    """How many steps were taken from an earlier run."""
    steps: int
    source: dict[str, Any]
    labels: tuple[str, ...]
    parent_run_id: str
    variants: list[dict[str, Any]]
    """Each `inputs`, `loss`, `run_id`, and `metrics` or `error`."""
    table: list[dict[str, Any]]
    """Rows of `comparison_table`."""
    verdict: list[str]
    """Which variant is best, and whether it really is, in sentences."""


@dataclass(frozen=True)
class CrossValidationResult:
    """What a cross-validation came to."""

    cached: int
    """How many steps were taken from an earlier run."""
    steps: int
    source: dict[str, Any]
    labels: tuple[str, ...]
    confidence: float
    """Level of the confidence intervals."""
    parent_run_id: str
    folds: list[dict[str, Any]]
    """Each `fold`, `run_id`, and `metrics` or `error`."""
    mean: dict[str, float]
    table: list[dict[str, Any]]
    """Rows of `CrossValidation.table`."""
    suspicious: int
    """How many labels look suspicious."""


@dataclass(frozen=True)
class TuningResult:
    """What a search came to."""

    cached: int
    """How many steps were taken from an earlier run."""
    steps: int
    source: dict[str, Any]
    parent_run_id: str
    study: str
    """Name of the study in `tuning.db`."""
    earlier: int
    """Trials that were there before."""
    states: list[str]
    """Of every trial, the earlier ones too: complete, pruned or failed."""
    started_with: float | None
    """Value of the starting configuration, if it came to an end."""
    start: Configuration
    number: int
    """Of the best trial."""
    value: float
    """Its macro-F1 on the validation folds."""
    best: Configuration
    output: Path
    """Where it was written."""


@dataclass(frozen=True)
class RetrainingResult:
    """What a retraining came to."""

    source: dict[str, Any]
    metrics: dict[str, float]
    confidence: float
    """Level of the confidence intervals."""
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


def run_training(run_configuration: RunConfiguration, *, use_cache: bool = True) -> TrainingResult:
    """Runs the main job; steps whose inputs, settings and code are unchanged are not run.

    Raises:
        EntailmentError: a step found something wrong.
    """
    run = _run(training, _model(run_configuration), use_cache, run_configuration)
    registered, report = run.load("register", "model_version"), run.load("evaluate", "report")
    seen = kinds_of(run_configuration.configuration.inputs)
    return TrainingResult(
        cached=run.cached,
        steps=len(run.steps),
        source=run.load("ingest", "source"),
        image_report=run.load("resolve_image_paths", "image_report") if "image" in seen else None,
        split_report=run.load("split", "split_report"),
        features=Usage(**run.load("train", "course")["features"]) + Usage(**report["features"]),
        metrics=report["metrics"],
        run_id=registered["run_id"],
        model=registered["model"],
        model_version=registered["model_version"],
        champion=champion_version(registered["model"]),
        confidence=run_configuration.configuration.evaluation.confidence,
    )


def run_comparison(
    run_configuration: RunConfiguration, variants: list[Variant], seeds: int, *, use_cache: bool = True
) -> ComparisonResult:
    """Trains and compares the variants over `seeds` seeds, from the configured one on; registers nothing.

    Raises:
        EntailmentError: a step before the trainings found something wrong; a variant that fails is in the result.
    """
    configuration = run_configuration.configuration
    numbers = [configuration.seed + number for number in range(seeds)]
    run = _run(comparison, _compared(variants), use_cache, run_configuration, variants, numbers)
    result = run.load("compare", "comparison")
    return ComparisonResult(
        cached=len(run.cached),
        steps=len(run.steps),
        source=run.load("ingest", "source"),
        labels=configuration.task.labels,
        **result,
    )


def _compared(variants: Sequence[Variant]) -> str:
    """What a comparison's runs are called after: with what all have in common, if anything.

    >>> _compared([Variant("text", "focal"), Variant("text", "weighted")])
    'compare text 2 variants'
    """
    common = [
        found.pop() for name in ("inputs", "loss") if len(found := {getattr(v, name) for v in variants}) == 1
    ]
    return " ".join(["compare", *common, f"{len(variants)} variants"])


def run_cross_validation(
    run_configuration: RunConfiguration, folds: int, *, use_cache: bool = True
) -> CrossValidationResult:
    """Trains and judges each fold; registers nothing.

    Raises:
        EntailmentError: a step before the trainings found something wrong; a fold that fails is in the result.
    """
    configuration = run_configuration.configuration
    run = _run(cross_validation, f"crossval {_model(run_configuration)}", use_cache, run_configuration, folds)
    result = run.load("crossval", "cross_validation")
    return CrossValidationResult(
        cached=len(run.cached),
        steps=len(run.steps),
        source=run.load("ingest", "source"),
        labels=configuration.task.labels,
        confidence=configuration.evaluation.confidence,
        **result,
    )


def run_tuning(
    run_configuration: RunConfiguration,
    trials: int,
    folds: int,
    output: Path,
    *,
    fixed: list[str],
    use_cache: bool = True,
) -> TuningResult:
    """Tries `trials` more configurations and writes the best so far to `output`; registers nothing.

    `fixed` are the keys that stay as they are.

    Raises:
        EntailmentError: a step before the search found something wrong, or no trial came to an end.
    """
    configuration = with_absolute_paths(run_configuration.configuration)
    run = _run(
        tuning,
        f"tune {_model(run_configuration)}",
        use_cache,
        run_configuration,
        folds,
        trials,
        sorted(fixed),
    )
    found = run.load("search", "tuning")
    best = found.pop("best")
    result = TuningResult(
        cached=len(run.cached),
        steps=len(run.steps),
        source=run.load("ingest", "source"),
        start=configuration,
        number=best["number"],
        value=best["value"],
        best=with_values(configuration, best["configuration"]),
        output=output,
        **found,
    )
    with written_aside(output) as aside:
        aside.write_text(as_yaml(result.best, _how_made(result, folds)), encoding="utf-8")
    return result


def run_retraining(run_configuration: RunConfiguration, *, force: bool = False) -> RetrainingResult:
    """Runs one retraining; with `force` also when there is nothing new.

    Raises:
        NothingNewError: a version was trained on just these data.
        EntailmentError: a step found something wrong.
    """
    if not force:
        check_for_new_data(run_configuration.configuration)
    run = _run(retraining, f"retrain {_model(run_configuration)}", False, run_configuration, force)
    registered = run.load("register", "model_version")
    return RetrainingResult(
        source=run.load("ingest", "source"),
        metrics=run.load("evaluate", "report")["metrics"],
        confidence=run_configuration.configuration.evaluation.confidence,
        drift=run.load("drift", "drift"),
        decision=run.load("judge", "decision"),
        features_encoded=feature_usage(registered["run_id"])["misses"],
        run_id=registered["run_id"],
        model=registered["model"],
        model_version=registered["model_version"],
        champion=champion_version(registered["model"]),
    )


def check_for_new_data(configuration: Configuration) -> None:
    """Raises NothingNewError when the champion or a retraining's version was trained on just what there is now."""
    use_stack_s_tracker()
    places = workspace()
    if is_active():
        with suppress(BlockingIOError), locked(places.run_lock, wait=False):
            end_killed_runs()
    fetch_versions(places.shared, places.datasets, configuration.dataset.source)
    check_data(configuration, places)


def _run(pipeline: Any, what: str, use_cache: bool, run: RunConfiguration, *parameters: Any) -> FinishedRun:
    """Runs a pipeline; the run is called after `what` is done and the data, in ZenML and in MLflow."""
    places, source = workspace(), run.configuration.dataset.source
    fetch_versions(places.shared, places.datasets, source)
    own = find_version(places.datasets, source)
    named = title(what, dataset_title(own.name, own.number) if own else Path(source).name)
    options = {"run_name": f"{named} {{date}}-{{time}}"} | run.options
    options["enable_cache"] = use_cache and run.options.get("enable_cache", True)
    configured = pipeline.with_options(**options)
    try:
        return FinishedRun(configured(run.configuration, *parameters))
    except (StackValidationError, StepInterfaceError, SettingsResolvingError) as error:
        raise ConfigurationError(f"ZenML does not take what the configuration tells it: {error}") from None


def _model(run: RunConfiguration) -> str:
    return f"{run.configuration.inputs} {run.configuration.training.loss}"


def _how_made(result: TuningResult, folds: int) -> str:
    return (
        f"The best of {len(result.states)} configurations: python run_pipeline.py tune, study {result.study}, trial"
        f" {result.number}.\nMacro-F1 {result.value:.4f} on {folds} validation folds of {result.source['name']}"
        f" (sha256 {result.source['sha256'][:12]}) without its test split;\nthe best of many is flattered by having"
        " been chosen. Train and judge it on the test split:\n"
        f"  python run_pipeline.py train --config {result.output}"
    )
