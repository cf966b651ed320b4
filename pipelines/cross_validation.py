"""The cross-validation of one configuration over all rows of a data set."""

from dataclasses import dataclass
from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode, ExecutionStatus

from entailment.configuration.configuration import Configuration
from entailment.files import locked
from entailment.home import home
from entailment.input_state import InputState, input_state
from pipelines.preparation import prepare, with_absolute_paths
from stacks.cache import forget, forget_lost_results
from stacks.tracker import use_stack_s_tracker
from steps import crossval, fold, train_fold
from tracking.experiment import tracker_settings


@dataclass(frozen=True)
class CrossValidationResult:
    """What a cross-validation came to."""

    cached: int
    """How many steps were taken from an earlier run."""
    steps: int
    source: dict[str, Any]
    confidence: float
    """Level of the confidence intervals."""
    labels: tuple[str, ...]
    parent_run_id: str
    folds: list[dict[str, Any]]
    """Each `fold`, `run_id`, and `metrics` or `error`."""
    mean: dict[str, float]
    table: list[dict[str, Any]]
    """Rows of `CrossValidation.table`."""


@pipeline(name="cross_validation", execution_mode=ExecutionMode.FAIL_FAST)
def cross_validation(configuration: Configuration, state: InputState, folds: int) -> None:
    """Ingest, resolve images, divide into folds, write records, train each fold, summarise."""
    config, tracked = configuration, tracker_settings(configuration.task.name)
    prepared = prepare(
        config,
        state,
        lambda resolved: fold(
            resolved, config.split, list(config.task.labels), folds, config.seed, without_test=False
        ),
    )
    outcomes, predictions = [], []
    for number in range(1, folds + 1):
        outcome, predicted = train_fold(
            prepared.records,
            config.encoders,
            config.inputs,
            config.task,
            config.head,
            config.training,
            config.split.validation_fraction,
            folds,
            number,
            config.seed,
            state.encoders,
            id=f"train_fold_{number}",
        )
        outcomes.append(outcome)
        predictions.append(predicted)
    crossval.with_options(settings=tracked)(
        outcomes, predictions, prepared.source, prepared.split_report, config, state.encoders
    )


def run_cross_validation(
    configuration: Configuration, folds: int, *, use_cache: bool = True
) -> CrossValidationResult:
    """Trains and judges each fold; registers nothing.

    Raises:
        EntailmentError: a step before the trainings found something wrong; a fold that fails is in the result.
    """
    configuration = with_absolute_paths(configuration)
    with locked(home() / "run.lock", "Another run is going in this home: waiting for its end."):
        state = input_state(configuration)
        forget_lost_results()
        run = cross_validation.with_options(enable_cache=use_cache)(configuration, state, folds)
        use_stack_s_tracker()
        result = run.steps["crossval"].outputs["cross_validation"][0].load()
        forget(run.steps[f"train_fold_{entry['fold']}"] for entry in result["folds"] if "error" in entry)
    return CrossValidationResult(
        cached=sum(step.status == ExecutionStatus.CACHED for step in run.steps.values()),
        steps=len(run.steps),
        source=run.steps["ingest"].outputs["source"][0].load(),
        labels=configuration.task.labels,
        confidence=configuration.evaluation.confidence,
        **result,
    )
