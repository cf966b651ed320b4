"""The comparison: every loss with every kind of input, on the same rows."""

from dataclasses import dataclass
from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode, ExecutionStatus

from entailment.configuration.configuration import Configuration
from entailment.files import locked
from entailment.home import home
from entailment.input_state import InputState, input_state
from entailment.trials.variants import Variant
from pipelines.preparation import prepare, with_absolute_paths
from stacks.cache import forget, forget_lost_results
from stacks.tracker import use_stack_s_tracker
from steps import compare, train_variant
from tracking.experiment import tracker_settings


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


@pipeline(name="comparison", execution_mode=ExecutionMode.FAIL_FAST)
def comparison(
    configuration: Configuration, state: InputState, variants: list[Variant], seeds: list[int]
) -> None:
    """Ingest, resolve images, split, write records, train each variant with each seed, compare."""
    prepared, tracked = prepare(configuration, state), tracker_settings(configuration.task.name)
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
                state.encoders,
                id=f"train_{variant.name}_{seed}",
            )
            outcomes.append(outcome)
            predictions.append(predicted)
    compare.with_options(settings=tracked)(
        outcomes, predictions, prepared.source, prepared.split_report, configuration, state.encoders
    )


def run_comparison(
    configuration: Configuration, variants: list[Variant], seeds: int, *, use_cache: bool = True
) -> ComparisonResult:
    """Trains and compares the variants over `seeds` seeds, from the configured one on; registers nothing.

    Raises:
        EntailmentError: a step before the trainings found something wrong; a variant that fails is in the result.
    """
    configuration = with_absolute_paths(configuration)
    with locked(home() / "run.lock", "Another run is going in this home: waiting for its end."):
        state = input_state(configuration)
        forget_lost_results()
        numbers = [configuration.seed + number for number in range(seeds)]
        run = comparison.with_options(enable_cache=use_cache)(configuration, state, variants, numbers)
        use_stack_s_tracker()
        result = run.steps["compare"].outputs["comparison"][0].load()
        failed = {(entry["inputs"], entry["loss"]) for entry in result["variants"] if "error" in entry}
        for variant in variants:
            if (variant.inputs, variant.loss) in failed:
                forget(step for name, step in run.steps.items() if name.startswith(f"train_{variant.name}_"))
    return ComparisonResult(
        cached=sum(step.status == ExecutionStatus.CACHED for step in run.steps.values()),
        steps=len(run.steps),
        source=run.steps["ingest"].outputs["source"][0].load(),
        labels=configuration.task.labels,
        **result,
    )
