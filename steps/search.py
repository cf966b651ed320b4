"""The last step of the search: try configurations, each a child run in MLflow."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

from zenml import step

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.data.split import UNDIVIDED, fold_rows
from entailment.metric_names import BASELINE, POOLED
from entailment.model.end_to_end import Workplace, features_of
from entailment.model.feature_index import FeatureIndex
from entailment.records.manifest import RecordsFolder
from entailment.reporting.description import description
from entailment.reporting.search_page import tuning_markdown, tuning_table
from entailment.trials import search as tuning
from entailment.workspace import workspace
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, never
from steps.interruptions import INTERRUPTIONS
from tracking import runs
from tracking.children import Child, log_child

_FURTHER: Final = (
    "That is trial {number}, the best of {trials}, which flatters it: the test split, which no trial saw, tells how"
    " good it is. All are in `tuning.md`, under Artifacts."
)
_LOG = logging.getLogger(__name__)


# Never taken from the cache: it asks for trials beyond those that there are.
@step(
    experiment_tracker=True,
    output_materializers={"tuning": ReportMaterializer},
    cache_policy=cached_by(never),
)
def search(
    records: RecordsFolder,
    features: FeatureIndex,
    source: dict[str, Any],
    fold_report: dict[str, Any],
    configuration: Configuration,
    encoder_state: dict[str, str],
    folds: int,
    trials: int,
    fixed: list[str],
) -> Annotated[dict[str, Any], "tuning"]:
    """Goes on with the study of these records and this configuration; gives its trials and the best one."""
    places = workspace()
    parent = runs.start(configuration.of_model(), source, encoder_state)["run_id"]
    runs.log_settings(configuration.evaluation, "evaluation.")
    name = tuning.study_name(configuration, fixed, folds, features.sha256, records.sha256, encoder_state)
    tags = {"study": name, "folds": str(folds)}
    runs.log_tags(tags)
    runs.log_reports({"fold_report": fold_report})
    known = features_of(features, configuration, places.encoders, places.features)
    whole = known.split(records.path, UNDIVIDED)
    rows = fold_rows(whole.labels, folds, configuration.seed)
    figures = dict[int, dict[str, float]]()

    def log(trial: tuning.Trial) -> None:
        figures[trial.number] = _pooled(trial)
        facts = runs.facts(trial.configuration, source, encoder_state)
        log_child(_child(trial, facts | tags))

    with tempfile.TemporaryDirectory(dir=places.scratch) as tuned:
        place = Workplace(records.path, places.encoders, Path(tuned))
        found = tuning.search(
            places.home / "tuning.db",
            name,
            configuration,
            trials,
            lambda tried, on_epoch: tuning.judged_on_folds(whole, rows, tried, place, on_epoch),
            fixed=fixed,
            on_trial=log,
            interruptions=INTERRUPTIONS,
        )
    best = found.best
    table = tuning_table(found.trials, configuration)
    runs.log_table(table, "tuning", tuning_markdown(table))
    value = {POOLED + tuning.OBJECTIVE: best.value}
    runs.log_metrics(value)
    facts = runs.facts(best.configuration, source, encoder_state)
    told = _FURTHER.format(number=best.number, trials=len(found.trials))
    known = value | figures.get(best.number, {})
    runs.log_description(description(facts, known, configuration.evaluation.confidence, further=told))
    return {
        "parent_run_id": parent,
        "study": name,
        "earlier": found.earlier,
        "states": [trial.state for trial in found.trials],
        "started_with": next(
            (trial.value for trial in found.trials if trial.configuration == configuration), None
        ),
        "best": {"number": best.number, "value": best.value, "configuration": dotted(best.configuration)},
    }


def _child(trial: tuning.Trial, tags: dict[str, str]) -> Child:
    value = "" if trial.value is None else f"{trial.value:.3f}"
    _LOG.info("Trial %d: %s %s", trial.number, trial.state, value or trial.error)
    return Child(
        f"trial {trial.number}",
        trial.configuration.of_model(),
        trial.configuration.evaluation,
        tags | {"trial": str(trial.number), "state": trial.state},
        _pooled(trial),
        trial.curves,
        trial.ended,
        failed=trial.error,
        stopped=trial.state == "pruned",
    )


def _pooled(trial: tuning.Trial) -> dict[str, float]:
    return {POOLED + name.removeprefix(BASELINE): figure for name, figure in trial.metrics.items()}
