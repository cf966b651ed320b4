"""The last step of the comparison: figures of every variant, side by side in MLflow."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from zenml import step

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.evaluation.report import most_frequent
from entailment.evaluation.words_baseline import answers_of_words
from entailment.records.manifest import RecordsFolder
from entailment.reporting.comparison_page import comparison_figure, comparison_markdown, comparison_page
from entailment.reporting.grids import grid_figures
from entailment.reporting.interactive_page import facts_of_run, interactive_page
from entailment.reporting.markdown import table_records
from entailment.reporting.shown_model import ShownModel
from entailment.task import kinds_of, probability_columns
from entailment.trials.comparison import best_two, comparison_metrics, comparison_table, leads_within
from entailment.trials.disagreements import disagreements
from entailment.trials.variant_summary import summarise_variant
from entailment.trials.variants import Variant
from materializers.page import PageMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from tracking import runs
from tracking.children import Child, finished_child, log_child
from tracking.figures import log_figures, log_page
from tracking.ui import COMPARISON_PAGE


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    experiment_tracker=True,
    output_materializers={"comparison": ReportMaterializer, "page": PageMaterializer},
    cache_policy=cached_by(code),
)
def compare(
    outcomes: list[dict[str, Any]],
    predictions: list[pd.DataFrame],
    records: RecordsFolder,
    variants: list[Variant],
    splits: pd.DataFrame,
    source: dict[str, Any],
    split_report: dict[str, Any],
    configuration: ModelConfiguration,
    evaluation: Evaluation,
    encoder_state: dict[str, str],
) -> tuple[Annotated[dict[str, Any], "comparison"], Annotated[str, "page"]]:
    """Logs a parent run with table and page and a child run for each variant; gives ids and figures, and the page."""
    parent = runs.start(configuration, source, encoder_state)["run_id"]
    runs.log_settings(evaluation, "evaluation.")
    labels = configuration.task.labels
    majority = most_frequent(split_report["counts"], labels)
    options: dict[str, Any] = {
        "bootstrap_samples": evaluation.bootstrap_samples,
        "confidence": evaluation.confidence,
        "seed": configuration.seed,
        "words": answers_of_words(records.path, splits, kinds_of(configuration.inputs), configuration.seed),
    }
    answers, columns = dict[str, Any](), list(probability_columns(labels))
    listed, models = [], []
    true = np.empty(0, np.int64)
    trials = list(zip(outcomes, predictions, strict=True))
    for variant in variants:
        results = [(outcome, table) for outcome, table in trials if outcome["name"] == variant.name]
        configured = variant.configured(configuration)
        tags = runs.facts(configured, source, encoder_state)
        entry: dict[str, Any] = {"inputs": variant.inputs, "loss": variant.loss}
        failures = [
            f"seed {outcome['seed']}: {outcome['error']}" for outcome, _ in results if outcome["error"]
        ]
        if failures:
            answers[variant.name] = "; ".join(failures)
            child = Child(variant.name, configured, evaluation, tags, {}, failed=answers[variant.name])
            listed.append(entry | {"run_id": log_child(child), "error": answers[variant.name]})
            continue
        true = results[0][1]["true_index"].to_numpy()
        answers[variant.name] = np.stack([table[columns].to_numpy() for _, table in results])
        histories, ended = ([outcome[name] for outcome, _ in results] for name in ("history", "ended"))
        summary = summarise_variant(
            true, answers[variant.name], histories, ended, labels, majority=majority, **options
        )
        epochs = [outcome["best_epoch"] for outcome, _ in results]
        models.append(ShownModel(variant.name, summary.curves, epochs, summary.confusion))
        kept = epochs[0] if len(results) == 1 else None
        child = finished_child(
            variant.name,
            configured,
            evaluation,
            tags,
            summary.metrics,
            summary.curves,
            summary.ended,
            summary.confusion,
            kept,
        )
        listed.append(entry | {"run_id": log_child(child), "metrics": summary.metrics})
    table = comparison_table(true, answers, labels, majority=majority, **options)
    _log_parent(table, listed, models, labels, evaluation.confidence)
    by_inputs = {one.inputs: [v.name for v in variants if v.inputs == one.inputs] for one in variants}
    within = leads_within(true, answers, by_inputs, len(labels), **options)
    given = {model.name: answers[model.name] for model in models}
    best = best_two(table, [variant.name for variant in variants])
    shown = comparison_page(
        table,
        variants,
        labels,
        evaluation.confidence,
        generated=source["generated"],
        facts=facts_of_run(source, parent, {outcome["seed"] for outcome in outcomes}),
        models=models,
        test_rows=len(true),
        disagreements=disagreements(records.path, given, best, labels),
        within=within,
    )
    page = interactive_page(shown)
    log_page(page, COMPARISON_PAGE)
    found = {"parent_run_id": parent, "variants": listed, "table": table_records(table)}
    return found | {"verdict": list(shown.verdict)}, page


def _log_parent(
    table: pd.DataFrame,
    variants: list[dict[str, Any]],
    models: list[ShownModel],
    labels: Sequence[str],
    confidence: float,
) -> None:
    """The table, what it comes to as metrics, and pictures of all variants."""
    inputs, losses = ([variant[name] for variant in variants] for name in ("inputs", "loss"))
    runs.log_comparison(table, comparison_markdown(table, labels, confidence), inputs, losses)
    names = [Variant(*each).name for each in zip(inputs, losses, strict=True)]
    runs.log_metrics(comparison_metrics(table, names))
    log_figures({"comparison.png": comparison_figure(table, confidence)} | grid_figures(models, labels))
