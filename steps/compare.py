"""The last step of the comparison: figures of every variant, side by side in MLflow."""

from itertools import groupby
from typing import Annotated, Any

import numpy as np
import pandas as pd
from zenml import step
from zenml.config import CachePolicy

from entailment.configuration import Configuration
from entailment.reporting.comparison_page import comparison_figure, comparison_markdown
from entailment.reporting.figures import confusion_matrix_figure, training_curves_figure
from entailment.reporting.markdown import table_records
from entailment.task import LABELS, PROBABILITY
from entailment.trials.comparison import comparison_table
from entailment.trials.variant_summary import VariantSummary, summarise_variant
from entailment.trials.variants import Variant
from materializers.report import ReportMaterializer
from steps.code_fingerprint import code_fingerprint
from tracking import runs
from tracking.children import Child, log_child, log_figures
from tracking.experiment import TRACKER_SETTINGS


def code() -> str:
    """What this step's code consists of now."""
    return code_fingerprint(__name__)


@step(
    experiment_tracker=True,
    settings=TRACKER_SETTINGS,
    output_materializers={"comparison": ReportMaterializer},
    cache_policy=CachePolicy(cache_func=code),
)
def compare(
    outcomes: list[dict[str, Any]],
    predictions: list[pd.DataFrame],
    source: dict[str, Any],
    split_report: dict[str, Any],
    configuration: Configuration,
    encoder_state: dict[str, str],
) -> Annotated[dict[str, Any], "comparison"]:
    """Logs a parent run with the table and a child run for each variant; gives their ids and figures."""
    parent = runs.log_start(configuration, source, encoder_state)
    evaluation = configuration.evaluation
    counts = split_report["counts"]["train"]
    options = {
        "majority": max(range(len(LABELS)), key=lambda index: counts[LABELS[index]]),
        "bootstrap_samples": evaluation.bootstrap_samples,
        "confidence": evaluation.confidence,
        "seed": configuration.seed,
    }
    answers: dict[str, Any] = {}
    listed = []
    labels = np.empty(0, np.int64)
    pairs = zip(outcomes, predictions, strict=True)
    for variant, group in groupby(pairs, lambda pair: Variant(pair[0]["inputs"], pair[0]["loss"])):
        results = list(group)
        tags = runs.facts(variant.configured(configuration), source, encoder_state)
        entry: dict[str, Any] = {"inputs": variant.inputs, "loss": variant.loss}
        failures = [
            f"seed {outcome['seed']}: {outcome['error']}" for outcome, _ in results if outcome["error"]
        ]
        if failures:
            answers[variant.name] = "; ".join(failures)
            child = Child(
                variant.name, variant.configured(configuration), tags, {}, failed=answers[variant.name]
            )
            listed.append(entry | {"run_id": log_child(child), "error": answers[variant.name]})
            continue
        labels = results[0][1]["true_index"].to_numpy()
        answers[variant.name] = np.stack([table[list(PROBABILITY)].to_numpy() for _, table in results])
        histories = [outcome["history"] for outcome, _ in results]
        summary = summarise_variant(labels, answers[variant.name], histories, **options)
        child = _child(variant, configuration, tags, summary)
        listed.append(entry | {"run_id": log_child(child), "metrics": summary.metrics})
    table = comparison_table(labels, answers, **options)
    markdown = comparison_markdown(table, evaluation.confidence)
    runs.log_comparison(table, markdown, *([entry[name] for entry in listed] for name in ("inputs", "loss")))
    log_figures({"comparison.png": comparison_figure(table, evaluation.confidence)})
    return {"parent_run_id": parent, "variants": listed, "table": table_records(table)}


def _child(
    variant: Variant, configuration: Configuration, tags: dict[str, str], summary: VariantSummary
) -> Child:
    metrics = summary.metrics
    title = (
        f"{variant.name}: macro-F1 {metrics['test_macro_f1']:.2f}, accuracy {metrics['test_accuracy']:.2f}"
    )
    title += f" (baseline {metrics['test_majority_accuracy']:.2f})"
    return Child(
        variant.name,
        variant.configured(configuration),
        tags,
        metrics,
        summary.curves,
        {"confusion_matrix.json": {"labels": list(LABELS), "counts": summary.confusion.tolist()}},
        {
            "confusion_matrix.png": confusion_matrix_figure(summary.confusion, title),
            "training_curves.png": training_curves_figure(summary.curves),
        },
    )
