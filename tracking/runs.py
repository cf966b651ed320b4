"""What a run holds in MLflow: parameters, tags, curves, figures and files."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_LOGGED_ARTIFACTS, MLFLOW_RUN_NOTE

from entailment.configuration.model import ModelConfiguration
from entailment.configuration.section import Section, dotted
from entailment.encoders.feature_store import Usage
from entailment.errors import EntailmentError
from entailment.files import spreadsheet_csv
from entailment.reporting.description import dataset_title
from entailment.task import KINDS

if TYPE_CHECKING:
    import pandas as pd

_NOTE: Final = 8000
"""Characters that an MLflow tag holds; the table's file is whole."""
_BY_STEP: Final = "mlflow.entailment.features"
"""A tag that MLflow does not show; earlier programs wrote `features.by_step`."""
_DIGEST: Final = 12
"""Characters of a data set's digest; MLflow takes 36."""
_METRICS_AT_ONCE: Final = 1000
"""As many as MLflow takes in one request."""


def start(
    configuration: ModelConfiguration,
    source: Mapping[str, Any],
    encoders: Mapping[str, str],
    reports: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Logs every setting that shapes a model as parameters, the data's facts as tags and reports as JSON artifacts.

    Gives the same as plain values, with the `run_id`: what `go_on` takes.
    """
    begun = {
        "run_id": active_run_id(),
        "settings": {key: str(value) for key, value in dotted(configuration).items()},
        "tags": facts(configuration, source, encoders),
        "reports": dict(reports or {}),
    }
    _log_start(begun)
    return begun


def go_on(course: Mapping[str, Any]) -> str:
    """Makes the active run whole where it is not the one of the training that `course` tells of; its id.

    `course` is what `start` gave, and the training's `history` (by name a value for each epoch) and `ended` (when
    each epoch did).
    """
    run_id = active_run_id()
    if run_id != course["run_id"]:
        _log_start(course)
        log_curves(run_id, course["history"], course["ended"])
    return run_id


def log_curves(run_id: str, curves: Mapping[str, Sequence[float]], ended: Sequence[float]) -> None:
    """Logs a value for each epoch, from 1, under each name, in as few requests as MLflow allows.

    `ended`: when each epoch did, in seconds since 1970.
    """
    points = [
        Metric(name, float(value), int(ended[number] * 1000), number + 1)
        for name, values in curves.items()
        for number, value in enumerate(values)
    ]
    for first in range(0, len(points), _METRICS_AT_ONCE):
        mlflow.MlflowClient().log_batch(run_id, metrics=points[first : first + _METRICS_AT_ONCE])


def log_settings(section: Section, prefix: str) -> None:
    """Logs more settings as parameters, their keys behind `prefix`."""
    mlflow.log_params(dotted(section, prefix))


@contextmanager
def resumed(run_id: str) -> Iterator[None]:
    """Makes a run that has ended well the active one; it has ended well afterwards too, whatever happens.

    Raises EntailmentError when the run is not there.
    """
    try:
        mlflow.start_run(run_id=run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise EntailmentError(
            f"The MLflow run {run_id} is no longer there. Run again with --no-cache."
        ) from None
    try:
        yield
    finally:
        mlflow.end_run()


def _log_start(begun: Mapping[str, Any]) -> None:
    mlflow.log_params(begun["settings"])
    mlflow.set_tags(begun["tags"])
    log_datasets(begun["tags"], begun["reports"].get("split_report", {}).get("counts", {}))
    log_reports(begun["reports"])


def facts(
    configuration: ModelConfiguration, source: Mapping[str, Any], encoders: Mapping[str, str]
) -> dict[str, str]:
    """The tags of a run: data set, inputs, loss and encoders, and whether the data are generated."""
    version = {} if source["version"] is None else {"dataset.version": str(source["version"])}
    return {
        **version,
        "dataset": source["name"],
        "dataset.sha256": source["sha256"],
        "inputs": configuration.inputs,
        "loss": configuration.training.loss,
        "data.generated": str(source["generated"]).lower(),
        **{f"encoder.{kind}": getattr(configuration.encoders, kind).encoder for kind in KINDS},
    } | {f"encoder.{name}.sha256": digest for name, digest in encoders.items()}


def log_datasets(tags: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]) -> None:
    """Logs the data set of the active run's `facts` as its input: each split (rows by label), or all in one."""
    name, digest = dataset_title(tags["dataset"], tags.get("dataset.version")), tags["dataset.sha256"]
    # Where it lay says nothing on another machine, what was in it does.
    source = json.dumps({"tags": {"dataset": name, "sha256": digest}})
    inputs = []
    for split, labels in (counts or {"": {}}).items():
        profile = json.dumps({"rows": sum(labels.values()), "classes": dict(labels)}) if labels else None
        # MLflow keeps one input for each name and digest, with the profile that it had first.
        seen = sha256(f"{digest}{profile}".encode()).hexdigest() if profile else digest
        part = Dataset(f"{name} {split}".strip(), seen[:_DIGEST], "code", source, profile=profile)
        inputs.append(DatasetInput(part, [InputTag(MLFLOW_DATASET_CONTEXT, split)] if split else []))
    mlflow.MlflowClient().log_inputs(active_run_id(), inputs)


def log_description(text: str) -> None:
    """Shows a text, in Markdown, on the page of the active run."""
    mlflow.set_tag(MLFLOW_RUN_NOTE, text)


def log_table(table: "pd.DataFrame", name: str, markdown: str) -> None:
    """Logs a table as `<name>.csv`, for a spreadsheet too, and what is to be read as `<name>.md`."""
    mlflow.log_text(spreadsheet_csv(table), f"{name}.csv")
    mlflow.log_text(markdown, f"{name}.md")


def log_comparison(
    table: "pd.DataFrame", markdown: str, inputs: Iterable[str], losses: Iterable[str]
) -> None:
    """Logs the table of a comparison, also as the run's note, and tags the run with all that it compares.

    So no filter for one loss or one kind of input finds the run that only holds the others together.
    """
    log_table(table, "comparison", markdown)
    tags = {"inputs": ", ".join(dict.fromkeys(inputs)), "loss": ", ".join(dict.fromkeys(losses))}
    mlflow.set_tags(tags | {MLFLOW_RUN_NOTE: markdown[:_NOTE]})


def log_tags(tags: Mapping[str, str]) -> None:
    """Adds tags to the active run."""
    mlflow.set_tags(dict(tags))


def log_metrics(figures: Mapping[str, float]) -> None:
    """Logs final figures to the active run."""
    mlflow.log_metrics(dict(figures))


def log_predictions(predictions: "pd.DataFrame") -> None:
    """Logs a table of predictions to the active run as `predictions.parquet`."""
    with tempfile.TemporaryDirectory() as scratch:
        predictions.to_parquet(Path(scratch) / "predictions.parquet", index=False)
        mlflow.log_artifacts(scratch)


def log_rows(rows: "pd.DataFrame", file: str) -> None:
    """Logs rows as a table that MLflow shows and sets beside those of other runs; `mlflow.log_table` would append."""
    mlflow.log_text(rows.to_json(orient="split", index=False), file)
    mlflow.set_tag(MLFLOW_LOGGED_ARTIFACTS, json.dumps([{"path": file, "type": "table"}]))


def log_epoch(epoch: int, figures: Mapping[str, float]) -> None:
    """Logs one epoch's figures while training goes on; what an attempt that died has logged is not logged twice."""
    history = mlflow.MlflowClient().get_metric_history(active_run_id(), next(iter(figures)))
    if all(point.step != epoch for point in history):
        mlflow.log_metrics(dict(figures), step=epoch)


def log_reports(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Logs dictionaries as JSON artifacts named after their keys."""
    for name, report in reports.items():
        mlflow.log_dict(dict(report), f"{name}.json")


def log_feature_usage(usage: Usage, step: str) -> None:
    """Sets the active run's tags on how many features came from the store, were encoded, and what that saved.

    Each step counts once, also when an attempt that died has logged already.
    """
    tags = mlflow.get_run(active_run_id()).data.tags
    by_step = json.loads(tags.get(_BY_STEP, tags.get("features.by_step", "{}"))) | {step: asdict(usage)}
    mlflow.set_tag(_BY_STEP, json.dumps(by_step))
    for name in asdict(usage):
        mlflow.set_tag(f"features.{name}", f"{sum(one[name] for one in by_step.values()):.0f}")


def feature_usage(run_id: str) -> dict[str, int]:
    """What `log_feature_usage` has added up for a run, by name."""
    tags = mlflow.get_run(run_id).data.tags
    return {name: int(float(tags.get(f"features.{name}", 0))) for name in ("hits", "misses")}


def active_run_id() -> str:
    """The id of the run that ZenML's experiment tracker started for this step."""
    run = mlflow.active_run()
    if run is None:
        raise EntailmentError("No MLflow run is active: the stack has no experiment tracker.")
    return str(run.info.run_id)


def set_aside(name: str) -> None:
    """Renames and deletes the runs called `name`: an attempt that died logged to them, and the next begins anew."""
    client = mlflow.MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, f'tags.mlflow.runName = "{name}"'):
        client.set_tag(run.info.run_id, "mlflow.runName", f"{name} (died)")
        client.set_terminated(run.info.run_id, "KILLED")
        client.delete_run(run.info.run_id)
