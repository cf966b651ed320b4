"""What the command line says at the end of a run."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from entailment.configuration.task import Task
from entailment.data.image_paths import MISSING, OK, UNREADABLE
from entailment.encoders.feature_store import Usage
from entailment.evaluation.words_baseline import WORDS_ALONE
from entailment.metric_names import (
    ACCURACY,
    MACRO_F1,
    MACRO_F1_HIGH,
    MACRO_F1_LOW,
    MAJORITY_DIFFERENCE,
    MAJORITY_NAMES,
    WORDS_NAMES,
)
from entailment.reporting.search_page import changes
from entailment.reporting.verdict import compared_with
from entailment.trials.comparison import compared_figures
from entailment.trials.cross_validation import INTERVAL, POOLED, fold_figures
from entailment.trials.suspicious_labels import MOST_LISTED
from entailment.workspace import PROJECT
from pipelines.runner import (
    ComparisonResult,
    CrossValidationResult,
    RetrainingResult,
    TrainingResult,
    TuningResult,
)
from stacks.schedules import ScheduleState
from summaries.text_table import text_table

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
        *(
            f"          no test row of {label}: no figure speaks of it"
            for label, n in counts["test"].items()
            if not n
        ),
        f"Images    {_images_line(result.image_report)}",
        f"Features  {_features_line(result.features)}",
        f"Test      macro-F1 {metrics[MACRO_F1]:.3f} ({result.confidence:.0%} interval"
        f" {metrics[MACRO_F1_LOW]:.3f} to {metrics[MACRO_F1_HIGH]:.3f})",
        f"          accuracy {metrics[ACCURACY]:.3f}",
        *_baseline_lines(metrics, result.confidence, max(counts["train"], key=counts["train"].get)),
        f"Model     {result.model} version {version}; {_champion_line(result)}",
        f"Next      {_command('ui' + _of(result.model))}",
    ]
    if result.champion != version and metrics.get(f"{MAJORITY_DIFFERENCE}_high", 1.0) >= 0:
        lines.append(f"          {_command(f'promote {version}' + _of(result.model))}")
    return "\n".join(lines)


def retraining_summary(result: RetrainingResult | None) -> str:
    """What is new, whether it drifted, figures, and every reason of the gate; None: only a check was asked for."""
    if result is None:
        return "There is something new to train on."
    metrics, source, decision = result.metrics, result.source, result.decision
    version = result.model_version
    state = f" version {source['version']}" if source["version"] else ""
    lines = [
        f"Data      {source['name']}{state} ({source['rows']} pairs); {result.features_encoded} texts and images"
        " had to be encoded",
        f"Drift     {result.drift['summary']}",
        f"Test      macro-F1 {metrics[MACRO_F1]:.3f}, accuracy {metrics[ACCURACY]:.3f}",
        *_baseline_lines(metrics, result.confidence),
        *(
            f"{'Met' if reason['passed'] else 'NOT MET':<10}{reason['name']}: {reason['text']}"
            for reason in decision["reasons"]
        ),
        f"Model     {result.model} version {version}; {_champion_line(result)}",
        f"Next      {_command('ui' + _of(result.model))}",
    ]
    return "\n".join(lines)


def _baseline_lines(
    figures: Mapping[str, Any], confidence: float, majority: str = "the most frequent class"
) -> list[str]:
    """The macro-F1 of each baseline that can answer, and whether the model is better."""
    lines = []
    for called, (macro_f1, accuracy, difference) in (
        (f"always answering {majority} gets", MAJORITY_NAMES),
        (f"{WORDS_ALONE} (TF-IDF, logistic regression) get", WORDS_NAMES),
    ):
        if figures.get(macro_f1) is not None:
            ends = (figures[difference + end] for end in ("", "_low", "_high"))
            lines.append(f"{called} {figures[macro_f1]:.3f} (accuracy {figures[accuracy]:.3f});")
            lines.append(f"it is {compared_with('that', *ends, confidence=confidence)}")
    return [f"          {line}" for line in lines]


def _champion_line(result: TrainingResult | RetrainingResult) -> str:
    if not result.champion:
        return "there is no champion"
    promoted = result.champion == result.model_version
    return "the champion is this one" if promoted else f"the champion is version {result.champion}"


def retraining_json(result: RetrainingResult | None) -> dict[str, Any]:
    """The same as plain values."""
    if result is None:
        return {"new": True}
    return {
        "new": True,
        "run_id": result.run_id,
        "model_version": result.model_version,
        "promoted": result.champion == result.model_version,
        "champion": result.champion,
        "metrics": result.metrics,
        "decision": result.decision,
        "drift": result.drift,
        "features_encoded": result.features_encoded,
    }


def comparison_summary(result: ComparisonResult, width: int | None = None) -> str:
    """The table of variants with the baseline as one of them, and how to see it in the browser.

    `width` of the terminal that it is for, if it is.
    """
    initials = [label[0] for label in result.labels]
    by_class = ">F1 by class" if len(set(initials)) < len(initials) else f">F1 {'/'.join(initials)}"
    heads = ["variant", ">accuracy", ">macro-F1", ">+-", ">interval", ">balanced", by_class]
    names = compared_figures(result.labels)
    table = text_table([*heads, "differs from best"], [_compared(row, names) for row in result.table], width)
    verdict = [part for line in result.verdict for part in wrap(line, width or len(line))]
    lines = [_done_line(result), _data_line(result.source), table, *verdict]
    return "\n".join([*lines, f"Next      {_command(f'ui --run {result.parent_run_id}')}"])


def _compared(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    if row["error"]:
        return [row["variant"], *[""] * 6, f"FAILED: {row['error']}"]
    spread = "" if row["macro_f1_std"] is None else f"{row['macro_f1_std']:.3f}"
    interval = f"{row['macro_f1_low']:.3f} to {row['macro_f1_high']:.3f}"
    accuracy, macro_f1, balanced = (f"{row[name]:.3f}" for name in names[:3])
    classes = " / ".join(f"{row[name]:.2f}".removeprefix("0") for name in names[3:])
    return [row["variant"], accuracy, macro_f1, spread, interval, balanced, classes, row["differs"]]


def cross_validation_summary(result: CrossValidationResult, width: int | None = None) -> str:
    """The table of folds, the pooled figure with its interval, and how to see it in the browser; `width` likewise."""
    heads = ["fold", ">rows", ">macro-F1", ">words", ">accuracy", ">majority", ">balanced"]
    names = fold_figures(result.labels)
    rows = [_fold(row, names) for row in result.table]
    table = text_table([*heads, *(f">F1 {label}" for label in result.labels), ""], rows, width)
    lines = [_done_line(result), _data_line(result.source), table]
    pooled = next(row for row in result.table if row["fold"] == POOLED)
    if pooled["macro_f1"] is not None:
        low, high = (pooled[name] for name in INTERVAL)
        lines.append(
            f"Pooled    macro-F1 {pooled['macro_f1']:.3f} ({result.confidence:.0%} interval {low:.3f} to {high:.3f})"
        )
        lines += _baseline_lines(pooled, result.confidence)
        where = f": up to {MOST_LISTED} are in suspicious_labels.csv of the run" if result.suspicious else ""
        lines.append(f"Labels    {result.suspicious} look suspicious{where}")
    return "\n".join([*lines, f"Next      {_command(f'ui --run {result.parent_run_id}')}"])


def _fold(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    if row["error"]:
        return [row["fold"], *[""] * (len(names) + 1), f"FAILED: {row['error']}"]
    size = "" if row["rows"] is None else f"{row['rows']:.0f}"
    return [row["fold"], size, *("" if row[name] is None else f"{row[name]:.3f}" for name in names)]


def tuning_summary(result: TuningResult) -> str:
    """How many trials there are, the best one, what it changes, and the command that trains it."""
    count = {state: result.states.count(state) for state in ("complete", "pruned", "failed")}
    ended = ", ".join(f"{number} {state}" for state, number in count.items() if number)
    start = "not known" if result.started_with is None else f"{result.started_with:.3f}"
    changed = changes(result.best, result.start)
    lines = [
        _done_line(result),
        _data_line(result.source),
        f"Study     {result.study}: {len(result.states)} trials ({ended}), {result.earlier} of them from before",
        f"Best      macro-F1 {result.value:.3f} on the validation folds (trial {result.number}); the starting"
        f" configuration {start}",
        f"Changed   {changed[0] if changed else 'nothing: the starting configuration is the best so far'}",
        *(f"          {change}" for change in changed[1:]),
        f"Written   {result.output}",
        f"Next      {_command(f'train --config {_shortest(result.output)}')}",
        f"          {_command(f'ui --run {result.parent_run_id}')}",
    ]
    return "\n".join(lines)


def _done_line(result: ComparisonResult | CrossValidationResult | TuningResult) -> str:
    others = ", the others were cached" if result.cached else ""
    return f"Done      {result.steps - result.cached} of {result.steps} steps ran{others}"


def _data_line(source: dict[str, Any]) -> str:
    generated = "GENERATED, not real tweets; " if source["generated"] else ""
    return f"Data      {source['name']} ({generated}{source['rows']} pairs)"


def schedules_table(states: list[ScheduleState], width: int | None = None) -> str:
    """Each schedule with its next and its last run by Airflow, and the runs that ZenML knows; times are UTC.

    `width` of the terminal that it is for, if it is.
    """
    if not states:
        return "No schedules."
    times = [[time or "-" for time in (one.next_run, one.last_run, one.last_state)] for one in states]
    rows = [[one.name, one.cron, one.state, *found] for one, found in zip(states, times, strict=True)]
    table = text_table(("schedule", "cron (UTC)", "state", "next run", "last run", "ended"), rows, width)
    runs = [[one.name, run["name"], run["status"]] for one in states for run in one.runs]
    for one in states:
        if one.state == "earlier":
            table += (
                f"\n{one.name}: an earlier version made it, in your own ZenML, and its runs fail now. Make it anew:"
                f" schedule --delete {one.name}, then schedule --cron '{one.cron}' --name {one.name}"
            )
    return f"{table}\n\n{text_table(('schedule', 'run', 'status'), runs, width)}" if runs else table


def _steps_line(cached: list[str], total: int) -> str:
    if len(cached) == total - 1:
        return (
            f"Done      nothing changed: all {len(cached)} steps after look were cached, this is the earlier run's"
            " result"
        )
    return f"Done      {total - len(cached)} of {total} steps ran" + (
        f", cached: {', '.join(cached)}" if cached else ""
    )


def _images_line(report: dict[str, Any] | None) -> str:
    if report is None:
        return "not used"
    counts = {status: sum(side[status] for side in report["counts"].values()) for status in _STATUSES}
    return f"{counts[OK]} usable, {counts[MISSING]} missing, {counts[UNREADABLE]} unreadable"


def _features_line(usage: Usage) -> str:
    return (
        f"{usage.hits} from the store ({usage.seconds_saved:.0f} s saved),"
        f" {usage.misses} encoded ({usage.seconds_spent:.0f} s)"
    )


def _of(model: str) -> str:
    """The option that names a model, nothing for the default one."""
    return "" if model == Task().name else f" --set task.name={shlex.quote(model)}"


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
