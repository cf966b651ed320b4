"""The search for a better configuration, on validation folds alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenml import pipeline
from zenml.enums import ExecutionMode, ExecutionStatus

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import as_yaml, with_values
from entailment.files import locked, written_aside
from entailment.home import home
from entailment.input_state import InputState, input_state
from pipelines.preparation import prepare, with_absolute_paths
from stacks.cache import forget_lost_results
from stacks.tracker import use_stack_s_tracker
from steps import fold, search
from tracking.experiment import tracker_settings


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


@pipeline(name="tuning", execution_mode=ExecutionMode.FAIL_FAST)
def tuning(
    configuration: Configuration, state: InputState, folds: int, trials: int, fixed: list[str]
) -> None:
    """Ingest, resolve images, divide what is not the test split into folds, write records, search."""
    config, tracked = configuration, tracker_settings(configuration.task.name)
    prepared = prepare(
        config,
        state,
        lambda resolved: fold(
            resolved, config.split, list(config.task.labels), folds, config.seed, without_test=True
        ),
    )
    search.with_options(settings=tracked)(
        prepared.records,
        prepared.source,
        prepared.split_report,
        config,
        state.encoders,
        folds,
        trials,
        fixed,
    )


def run_tuning(
    configuration: Configuration,
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
    configuration = with_absolute_paths(configuration)
    with locked(home() / "run.lock", "Another run is going in this home: waiting for its end."):
        state = input_state(configuration)
        forget_lost_results()
        run = tuning.with_options(enable_cache=use_cache)(configuration, state, folds, trials, sorted(fixed))
        use_stack_s_tracker()
        found = run.steps["search"].outputs["tuning"][0].load()
    best = found.pop("best")
    result = TuningResult(
        cached=sum(step.status == ExecutionStatus.CACHED for step in run.steps.values()),
        steps=len(run.steps),
        source=run.steps["ingest"].outputs["source"][0].load(),
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


def _how_made(result: TuningResult, folds: int) -> str:
    return (
        f"The best of {len(result.states)} configurations: python run_pipeline.py tune, study {result.study}, trial"
        f" {result.number}.\nMacro-F1 {result.value:.4f} on {folds} validation folds of {result.source['name']}"
        f" (sha256 {result.source['sha256'][:12]}) without its test split;\nthe best of many is flattered by having"
        " been chosen. Train and judge it on the test split:\n"
        f"  python run_pipeline.py train --config {result.output}"
    )
