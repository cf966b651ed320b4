"""What the command line says at the end of a run."""

from typing import Any

from entailment.data.image_paths import MISSING, OK, UNREADABLE
from pipelines.training import TrainingResult

_STATUSES = (OK, MISSING, UNREADABLE)


def training_summary(result: TrainingResult) -> str:
    """A few lines: what ran, figures next to the baseline, where the model went, what to do next."""
    metrics, model, source = result.metrics, result.model, result.source
    counts = result.split_report["counts"]
    rows = {split: sum(by_label.values()) for split, by_label in counts.items()}
    baseline = max(counts["train"], key=counts["train"].get)
    generated = "GENERATED, not real tweets; " if source["generated"] else ""
    lines = [
        _steps_line(result.cached),
        f"Data      {source['name']} ({generated}{source['rows']} pairs, sha256 {source['sha256'][:12]})",
        f"Split     train {rows['train']}, validation {rows['validation']}, test {rows['test']}",
        f"Images    {_images_line(result.image_report)}",
        f"Test      macro-F1 {metrics['test_macro_f1']:.3f} (95 % interval"
        f" {metrics['test_macro_f1_ci_low']:.3f} to {metrics['test_macro_f1_ci_high']:.3f})",
        f"          accuracy {metrics['test_accuracy']:.3f}; always answering {baseline} gets"
        f" {metrics['test_majority_accuracy']:.3f}",
        f"Model     multimodal-entailment version {model['model_version']}, now {model['alias']}"
        f" (champion: version {model['champion']})",
        "Next      python run_pipeline.py ui",
    ]
    if model["alias"] != "champion":
        lines.append(f"          python run_pipeline.py promote {model['model_version']}")
    return "\n".join(lines)


def _steps_line(cached: list[str]) -> str:
    if len(cached) == 7:
        return "Done      nothing changed: all 7 steps were cached, this is the earlier run's result"
    return f"Done      {7 - len(cached)} of 7 steps ran" + (
        f", cached: {', '.join(cached)}" if cached else ""
    )


def _images_line(report: dict[str, Any]) -> str:
    counts = {status: sum(side[status] for side in report["counts"].values()) for status in _STATUSES}
    return f"{counts[OK]} usable, {counts[MISSING]} missing, {counts[UNREADABLE]} unreadable"
