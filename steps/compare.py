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
    answers, listed, models = dict[str, Any](), [], []
    trials = list(zip(outcomes, predictions, strict=True))
    for variant in variants:
        results = [(outcome, table) for outcome, table in trials if outcome["name"] == variant.name]
        configured = variant.configured(configuration)
        about = (configured, evaluation, runs.facts(configured, source, encoder_state))
        child, answers[variant.name], model = _variant(variant.name, results, about, majority, options)
        models += [model] if model else []
        result = {"metrics": child.metrics} if model else {"error": child.failed}
        listed.append({"inputs": variant.inputs, "loss": variant.loss, "run_id": log_child(child)} | result)
    answered = [table for outcome, table in trials if outcome["name"] in {model.name for model in models}]
    true = answered[0]["true_index"].to_numpy() if answered else np.empty(0, np.int64)
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


def _variant(
    name: str,
    results: list[tuple[dict[str, Any], pd.DataFrame]],
    about: tuple[ModelConfiguration, Evaluation, dict[str, str]],
    majority: int,
    options: dict[str, Any],
) -> tuple[Child, Any, ShownModel | None]:
    """A variant's run, its probabilities [seeds, n, classes] or why it failed, and what is shown of it.

    `results`: outcome and predictions of each seed; `about`: its configurations and its tags.
    """
    if failures := [f"seed {one['seed']}: {one['error']}" for one, _ in results if one["error"]]:
        failed = "; ".join(failures)
        return Child(name, *about, {}, failed=failed), failed, None
    labels, true = about[0].task.labels, results[0][1]["true_index"].to_numpy()
    answers = np.stack([table[list(probability_columns(labels))].to_numpy() for _, table in results])
    histories, ended, epochs = (
        [one[key] for one, _ in results] for key in ("history", "ended", "best_epoch")
    )
    summary = summarise_variant(true, answers, histories, ended, labels, majority=majority, **options)
    trained = (summary.metrics, summary.curves, summary.ended, summary.confusion)
    kept = epochs[0] if len(epochs) == 1 else None
    shown = ShownModel(name, summary.curves, epochs, summary.confusion)
    return finished_child(name, *about, *trained, kept), answers, shown


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
