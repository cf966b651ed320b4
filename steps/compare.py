"""The last step of the comparison: figures of every variant, side by side in MLflow."""

from itertools import groupby
from typing import Annotated, Any

import numpy as np
import pandas as pd
from zenml import step

from entailment.configuration.configuration import Configuration
from entailment.evaluation.report import most_frequent
from entailment.reporting.comparison_page import comparison_figure, comparison_markdown
from entailment.reporting.figures import confusion_matrix_figure, training_curves_figure
from entailment.reporting.markdown import table_records
from entailment.task import probability_columns
from entailment.trials.comparison import comparison_table
from entailment.trials.variant_summary import VariantSummary, summarise_variant
from entailment.trials.variants import Variant
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from tracking import runs
from tracking.children import Child, log_child
from tracking.figures import log_figures


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    experiment_tracker=True,
    output_materializers={"comparison": ReportMaterializer},
    cache_policy=cached_by(code),
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
    parent = runs.start(configuration.of_model(), source, encoder_state)["run_id"]
    runs.log_settings(configuration.evaluation, "evaluation.")
    evaluation, labels = configuration.evaluation, configuration.task.labels
    options = {
        "majority": most_frequent(split_report["counts"], labels),
        "bootstrap_samples": evaluation.bootstrap_samples,
        "confidence": evaluation.confidence,
        "seed": configuration.seed,
    }
    answers, columns = dict[str, Any](), list(probability_columns(labels))
    listed = []
    true = np.empty(0, np.int64)
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
        true = results[0][1]["true_index"].to_numpy()
        answers[variant.name] = np.stack([table[columns].to_numpy() for _, table in results])
        histories = [outcome["history"] for outcome, _ in results]
        summary = summarise_variant(true, answers[variant.name], histories, labels, **options)
        child = _child(variant, configuration, tags, summary)
        listed.append(entry | {"run_id": log_child(child), "metrics": summary.metrics})
    table = comparison_table(true, answers, labels, **options)
    markdown = comparison_markdown(table, labels, evaluation.confidence)
    runs.log_comparison(table, markdown, *([entry[name] for entry in listed] for name in ("inputs", "loss")))
    log_figures({"comparison.png": comparison_figure(table, evaluation.confidence)})
    return {"parent_run_id": parent, "variants": listed, "table": table_records(table)}


def _child(
    variant: Variant, configuration: Configuration, tags: dict[str, str], summary: VariantSummary
) -> Child:
    metrics, labels = summary.metrics, configuration.task.labels
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
        {"confusion_matrix.json": {"labels": list(labels), "counts": summary.confusion.tolist()}},
        {
            "confusion_matrix.png": confusion_matrix_figure(summary.confusion, labels, title),
            "training_curves.png": training_curves_figure(summary.curves),
        },
    )
