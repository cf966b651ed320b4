"""What the command line says at the end of a run."""

import shutil
import sys
from pathlib import Path
from typing import Any

from entailment.data.image_paths import MISSING, OK, UNREADABLE
from entailment.encoders.feature_store import Usage
from entailment.home import PROJECT
from pipelines.comparison import ComparisonResult
from pipelines.training import TrainingResult
from stacks.schedules import ScheduleState
from tracking.experiment import REGISTERED_MODEL

_STATUSES = (OK, MISSING, UNREADABLE)


def training_summary(result: TrainingResult) -> str:
    """A few lines: what ran, figures next to the baseline, where the model went, what to do next."""
    metrics, source, version = result.metrics, result.source, result.model_version
    counts = result.split_report["counts"]
    rows = {split: sum(by_label.values()) for split, by_label in counts.items()}
    generated = "GENERATED, not real tweets; " if source["generated"] else ""
    lines = [
        _steps_line(result.cached, result.steps),
        f"Data      {source['name']} ({generated}{source['rows']} pairs, sha256 {source['sha256'][:12]})",
        f"Split     train {rows['train']}, validation {rows['validation']}, test {rows['test']}",
        f"Images    {_images_line(result.image_report)}",
        f"Features  {_features_line(result.features)}",
        f"Test      macro-F1 {metrics['test_macro_f1']:.3f} ({result.confidence:.0%} interval"
        f" {metrics['test_macro_f1_ci_low']:.3f} to {metrics['test_macro_f1_ci_high']:.3f})",
        f"          accuracy {metrics['test_accuracy']:.3f}; always answering"
        f" {max(counts['train'], key=counts['train'].get)} gets {metrics['test_majority_accuracy']:.3f}",
        f"Model     {REGISTERED_MODEL} version {version}; the champion is"
        f" {'this one' if result.champion == version else f'version {result.champion}'}",
        f"Next      {_command('ui')}",
    ]
    if result.champion != version:
        lines.append(f"          {_command(f'promote {version}')}")
    return "\n".join(lines)


def comparison_summary(result: ComparisonResult) -> str:
    """The table of variants, what it says of the baseline, and how to see it in the browser."""
    generated = "GENERATED, not real tweets; " if result.source["generated"] else ""
    form = "{:<28} {:>8} {:>8} {:>7} {:>17} {:>8}  {}"
    heads = ("variant", "accuracy", "macro-F1", "+-", "interval", "balanced", "differs from the best")
    lines = [
        f"Done      {result.steps - result.cached} of {result.steps} steps ran, the others were cached",
        f"Data      {result.source['name']} ({generated}{result.source['rows']} pairs)",
        form.format(*heads),
    ]
    for row in result.table:
        if row["error"]:
            lines.append(f"{row['variant']:<28} FAILED: {row['error']}")
            continue
        spread = "" if row["macro_f1_std"] is None else f"{row['macro_f1_std']:.3f}"
        interval = f"{row['macro_f1_ci_low']:.3f} to {row['macro_f1_ci_high']:.3f}"
        figures = [f"{row[name]:.3f}" for name in ("accuracy", "macro_f1", "balanced_accuracy")]
        lines.append(form.format(row["variant"], *figures[:2], spread, interval, figures[2], row["differs"]))
    return "\n".join([*lines, f"Next      {_command(f'ui --run {result.parent_run_id}')}"])


def schedules_table(states: list[ScheduleState]) -> str:
    """Each schedule with its next run, its last run and how that ended; times are UTC."""
    form = "{:<20} {:<14} {:<8} {:<26} {:<26} {}"
    lines = [form.format("schedule", "cron (UTC)", "state", "next run", "last run", "ended")]
    for state in states:
        times = [state.next_run or "-", state.last_run or "-", state.last_state or "-"]
        lines.append(form.format(state.name, state.cron, state.state, *times))
        lines += [f"  {run['name']}: {run['status']}" for run in state.runs]
    return "\n".join(lines) if states else "No schedules."


def _steps_line(cached: list[str], total: int) -> str:
    if len(cached) == total:
        return f"Done      nothing changed: all {total} steps were cached, this is the earlier run's result"
    return f"Done      {total - len(cached)} of {total} steps ran" + (
        f", cached: {', '.join(cached)}" if cached else ""
    )


def _images_line(report: dict[str, Any]) -> str:
    counts = {status: sum(side[status] for side in report["counts"].values()) for status in _STATUSES}
    return f"{counts[OK]} usable, {counts[MISSING]} missing, {counts[UNREADABLE]} unreadable"


def _features_line(usage: Usage) -> str:
    return (
        f"{usage.hits} from the store ({usage.seconds_saved:.0f} s saved),"
        f" {usage.misses} encoded ({usage.seconds_spent:.0f} s)"
    )


def _command(arguments: str) -> str:
    """A command that works when copied into the shell that this run was started from."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    python, script = (
        "python" if same else _shortest(Path(sys.executable)),
        _shortest(PROJECT / "run_pipeline.py"),
    )
    return f"{python} {script} {arguments}"


def _shortest(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
