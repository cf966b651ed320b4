"""The last step of the cross-validation: figures of every fold and of all answers pooled, in MLflow."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import pandas as pd
from zenml import step

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.data.split import UNDIVIDED
from entailment.metric_names import BASELINE, MAJORITY_ACCURACY, POOLED, TEST, in_group, is_end
from entailment.records.index import read_index
from entailment.records.manifest import RecordsFolder
from entailment.reporting.cross_validation_page import (
    cross_validation_figure,
    cross_validation_markdown,
    cross_validation_page,
    suspicious_labels_figure,
    suspicious_labels_markdown,
)
from entailment.reporting.description import description, headline
from entailment.reporting.figures import confusion_matrix_figure
from entailment.reporting.grids import grid_figures
from entailment.reporting.interactive_page import facts_of_run, interactive_page
from entailment.reporting.shown_model import ShownModel
from entailment.statistics.confusion import confusion_counts
from entailment.task import probability_columns
from entailment.trials.cross_validation import (
    CrossValidation,
    FoldAnswers,
    cross_validation,
    words_of_folds,
)
from entailment.trials.suspicious_labels import suspicious_labels, suspicious_samples, suspicious_table
from materializers.page import PageMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from tracking import runs
from tracking.children import Child, finished_child, log_child
from tracking.figures import log_figures, log_page
from tracking.ui import CROSS_VALIDATION_PAGE

_ALL: Final = "all folds"


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    experiment_tracker=True,
    output_materializers={"cross_validation": ReportMaterializer, "page": PageMaterializer},
    cache_policy=cached_by(code),
)
def crossval(
    outcomes: list[dict[str, Any]],
    predictions: list[pd.DataFrame],
    records: RecordsFolder,
    pairs: pd.DataFrame,
    source: dict[str, Any],
    fold_report: dict[str, Any],
    configuration: ModelConfiguration,
    evaluation: Evaluation,
    encoder_state: dict[str, str],
) -> tuple[Annotated[dict[str, Any], "cross_validation"], Annotated[str, "page"]]:
    """Logs a parent run with pooled figures and a child run for each fold; gives ids and figures, and the page."""
    parent = runs.start(configuration, source, encoder_state)["run_id"]
    runs.log_settings(evaluation, "evaluation.")
    labels = configuration.task.labels
    trials = dict(enumerate(zip(outcomes, predictions, strict=True), 1))
    words = words_of_folds(read_index(records.path, UNDIVIDED), pairs, len(trials), configuration)
    folds = {
        number: outcome["error"] or _answers(outcome, table, labels, words[number - 1])
        for number, (outcome, table) in trials.items()
    }
    summary = cross_validation(
        folds,
        labels,
        bootstrap_samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=configuration.seed,
    )
    tags = runs.facts(configuration, source, encoder_state) | {"folds": str(len(folds))}
    runs.log_tags({"folds": tags["folds"]})
    models = {
        number: _model(number, trials[number][0], fold, labels)
        for number, fold in folds.items()
        if isinstance(fold, FoldAnswers)
    }
    listed = []
    for number, (outcome, _) in trials.items():
        metrics = summary.folds[number]
        child = _child(configuration, evaluation, tags, number, outcome, models.get(number), metrics)
        entry = {"error": outcome["error"]} if outcome["error"] else {"metrics": metrics}
        listed.append({"fold": number, "run_id": log_child(child)} | entry)
    runs.log_reports({"fold_report": fold_report})
    _log_pooled(summary, labels, evaluation.confidence)
    answers = _out_of_fold(outcomes, predictions, labels)
    runs.log_predictions(answers.drop(columns=["row", "true_index"]))
    suspicious = _log_suspicious(records, answers, pairs, labels)
    shown = [ShownModel(_ALL, {}, [], summary.confusion), *models.values()] if models else []
    log_figures(grid_figures(shown, labels))
    told = cross_validation_page(
        summary.table,
        labels,
        evaluation.confidence,
        generated=source["generated"],
        facts=facts_of_run(source, parent, [configuration.seed]),
        models=shown,
    )
    verdict = "  \n".join(told.verdict)
    runs.log_description(description(tags, {}, evaluation.confidence, further=verdict))
    page = interactive_page(told)
    log_page(page, CROSS_VALIDATION_PAGE)
    rows = summary.table.astype(object).where(summary.table.notna(), None).to_dict("records")
    result = {"parent_run_id": parent, "folds": listed, "mean": summary.mean, "table": rows}
    return result | {"suspicious": suspicious}, page


def _answers(outcome: dict[str, Any], table: pd.DataFrame, labels: Sequence[str], words: Any) -> FoldAnswers:
    probabilities = table[list(probability_columns(labels))].to_numpy()
    return FoldAnswers(table["true_index"].to_numpy(), probabilities, tuple(outcome["train_counts"]), words)


def _model(number: int, outcome: dict[str, Any], answers: FoldAnswers, labels: Sequence[str]) -> ShownModel:
    confusion = confusion_counts(answers.labels, answers.probabilities.argmax(axis=1), len(labels))
    return ShownModel(f"fold {number}", outcome["history"], [outcome["best_epoch"]], confusion)


def _child(
    configuration: ModelConfiguration,
    evaluation: Evaluation,
    tags: dict[str, str],
    number: int,
    outcome: dict[str, Any],
    model: ShownModel | None,
    metrics: dict[str, float] | str,
) -> Child:
    tags = tags | {"fold": str(number)}
    if model is None or isinstance(metrics, str):
        return Child(f"fold {number}", configuration, evaluation, tags, {}, failed=outcome["error"])
    figures, trained = in_group(metrics, TEST), (model.curves, outcome["ended"])
    kept = outcome["best_epoch"]
    return finished_child(
        model.name, configuration, evaluation, tags, figures, *trained, model.confusion, kept
    )


def _log_pooled(summary: CrossValidation, labels: Sequence[str], confidence: float) -> None:
    """Means and deviations over the folds under `test/`, figures of all answers together under `pooled/`."""
    table = summary.table
    runs.log_table(table, "crossval", cross_validation_markdown(table, labels, confidence))
    figures = {"crossval.png": cross_validation_figure(table, confidence)}
    if summary.pooled:
        title = headline(_ALL, *(summary.pooled[one] for one in ("macro_f1", "accuracy", MAJORITY_ACCURACY)))
        figures["confusion_matrix.png"] = confusion_matrix_figure(summary.confusion, labels, title)
        runs.log_reports({"confusion_matrix": {"labels": list(labels), "counts": summary.confusion.tolist()}})
    runs.log_metrics(
        in_group({name: value for name, value in summary.mean.items() if not is_end(name)}, TEST)
        | in_group({f"{name}_std": value for name, value in summary.std.items() if not is_end(name)}, TEST)
        | in_group({name.removeprefix(BASELINE): value for name, value in summary.pooled.items()}, POOLED)
    )
    log_figures(figures)


def _out_of_fold(
    outcomes: list[dict[str, Any]], predictions: list[pd.DataFrame], labels: Sequence[str]
) -> pd.DataFrame:
    """The answers of all folds in file order, each with its true label, its fold, and its row in the records."""
    tables = [
        table.assign(true_label=[labels[index] for index in table["true_index"]], fold=number)
        for number, (outcome, table) in enumerate(zip(outcomes, predictions, strict=True), 1)
        if not outcome["error"]
    ]
    if not tables:
        return pd.DataFrame(columns=["row", "true_index"])
    return pd.concat(tables).sort_values("row", ignore_index=True)


def _log_suspicious(
    records: RecordsFolder, answers: pd.DataFrame, pairs: pd.DataFrame, labels: Sequence[str]
) -> int:
    """Logs the rows whose labels their models believe least, and a picture of the first; gives how many there are."""
    if answers.empty:
        return 0
    probabilities = answers[list(probability_columns(labels))].to_numpy()
    rows, suggested = suspicious_labels(answers["true_index"].to_numpy(), probabilities)
    table = suspicious_table(answers, rows, suggested, pairs, labels)
    runs.log_table(table, "suspicious_labels", suspicious_labels_markdown(len(rows), len(table)))
    if len(rows):
        shown = suspicious_samples(records.path, answers, rows, suggested, labels)
        log_figures({"suspicious_labels.png": suspicious_labels_figure(shown, len(rows))})
    return len(rows)
