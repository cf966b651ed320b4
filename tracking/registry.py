"""The registered model: its versions, and the aliases `champion` and `challenger`."""

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from entailment.data.pairs import pair_hashes
from entailment.data.split import SPLIT_COLUMN
from entailment.errors import RegistryError
from entailment.files import check_format, locked, read_json, write_json
from entailment.metric_names import VALIDATION
from entailment.promotion.gate import PROMOTED, REFUSED, ROLLED_BACK
from entailment.reporting.model_card import beginning
from entailment.serving.package import read_settings
from entailment.task import LABEL, SPLITS, probability_columns
from entailment.workspace import PROJECT, workspace
from tracking.decisions import AUTOMATIC, GATE, PERSON, keep_decision, shortened
from tracking.experiment import tracking_uri
from tracking.stored_files import folder_here, found_or_none, logged_model_of, remove_model

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
MODEL_CARD: Final = "model_card.md"
_DESCRIPTION: Final = 4900
"""Characters of description and card that a version's page shows: MLflow's column holds 5,000; the file is whole."""
_HISTORY: Final = "mlflow.entailment.champions"
"""A tag that MLflow does not show."""
_OLD_HISTORY: Final = "champion.history"
"""What earlier programs wrote."""
_IMAGES: Final = "dataset.images.sha256"
"""Tag with the `images_hash` of the images that a version has seen, empty for one that sees none."""
_RETRAINED: Final = "retrained"
"""Tag of the versions that a promotion gate has judged."""
_WHOLE: Final = "whole"
"""Tag of a version: "false" from its first moment, "true" at the end of its registration; earlier programs wrote none
at first.
"""
_CODE: Final = "register.code"
OURS: Final = "entailment.model"
"""Tag of the logged models that are ours."""
_PAIRS_FORMAT: Final = 1
_KEPT: Final = 20
"""Moves of the champion that are remembered at most."""
_TAG: Final = 5000
"""Characters that a tag of a registered model holds on PostgreSQL and MySQL."""
_WORDS: Final = 150
"""Characters of a reason, or a name, that are remembered with a move; the version's tag and its run have more."""
_LIBRARIES: Final = ("mlflow", "tensorflow", "tensorflow-text", "numpy", "pandas", "pillow")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """What MLflow's pages show of a new version and its model."""

    title: str
    description: str
    card: str
    epoch: int
    """Whose weights were kept: the model's figures under `val/` are of it."""


def register(
    model: str,
    package: Path,
    shown: Shown,
    splits: pd.DataFrame,
    source: Mapping[str, Any],
    image_report: Mapping[str, Any],
    report: Mapping[str, Any],
    decision: Mapping[str, Any] | None = None,
    *,
    code: str,
) -> str:
    """Logs the packed model and its card to the active run, registers it as a new version, moves the aliases.

    `decision` (`Decision.as_dict`) says whether the version becomes champion; without one the first version does, and
    one on other data after one on generated data, if its test split holds every class.

    The order of writes: the model's files, the version, its tags and the evidence of a decision, the alias, what is
    remembered of the move, last that the version is whole. Who registers the same MLflow run again with the same
    `code` (its fingerprint), because it was killed or because what it gave was lost, goes on with the run's version.
    Else, in the home's database, the next move of the champion finds it (`catch_up`): a version with the champion's
    alias is finished, one without is removed.

    Returns the version's number, as text.
    """
    hashes = {split: pair_hashes(splits[splits[SPLIT_COLUMN] == split]).tolist() for split in SPLITS}
    client = MlflowClient()
    version = _same_version(model, client, code) or _begin_version(
        model, client, package, shown, hashes, code
    )
    mlflow.log_text(shown.card, MODEL_CARD)
    page = f"{shown.description}\n\n{beginning(shown.card, _DESCRIPTION - len(shown.description))}"
    client.update_model_version(model, version, description=page)
    tags = {name: f"{value:.6f}" for name, value in report["metrics"].items()}
    tags |= {"dataset": source["name"], "dataset.sha256": source["sha256"]}
    tags |= {_IMAGES: image_report["sha256"]}
    tags |= {"data.generated": str(source["generated"]).lower()}
    tags |= {f"pairs.{split}.sha256": _digest(hashes[split]) for split in SPLITS}
    for name, value in tags.items():
        client.set_model_version_tag(model, version, name, value)
    with one_at_a_time():
        catch_up(model, client, besides=version)
        if decision is None:
            test = set(splits.loc[splits[SPLIT_COLUMN] == "test", LABEL])
            lacking = [label for label in read_settings(package)["labels"] if label not in test]
            _give_alias(model, client, version, generated=source["generated"], lacking=lacking)
        else:
            _follow(model, client, version, decision)
        _mark_whole(model, client, version, retrained=decision is not None)
    return version


def promote(model: str, version: str, why: str) -> dict[str, str]:
    """Makes `version` the champion; returns `version` and `previous` ("" when there was none).

    Raises:
        RegistryError: there is no such version, or it is the champion already.
    """
    client = MlflowClient()
    with one_at_a_time():
        catch_up(model, client)
        _check_existence(model, client, version)
        previous = champion_version(model)
        if previous == version:
            raise RegistryError(f"Version {version} is the champion already: nothing was changed.")
        _crown(model, client, version, why, how=PERSON)
    return {"version": version, "previous": previous}


def rollback(model: str, why: str) -> dict[str, str]:
    """Gives the champion's alias back to the version that had it before; returns as `promote`.

    Raises:
        RegistryError: no earlier champion is left.
    """
    client = MlflowClient()
    with one_at_a_time():
        catch_up(model, client)
        current, earlier = champion_version(model), rollback_target(model, client)
        if not earlier:
            raise RegistryError(
                "There is no earlier champion to go back to. Name a version: promote VERSION."
            )
        _crown(model, client, earlier, why, how=PERSON, outcome=ROLLED_BACK)
    return {"version": earlier, "previous": current}


def rollback_target(model: str, client: MlflowClient) -> str:
    """The version that a rollback would go to, "" when there is none."""
    present = {str(version.version) for version in client.search_model_versions(f"name='{model}'")}
    present.discard(champion_version(model))
    return next((one for one in reversed(_line_of_champions(model, client)) if one in present), "")


def champion_version(model: str) -> str:
    """The champion's version number, "" when there is none."""
    found = found_or_none(MlflowClient().get_model_version_by_alias, model, CHAMPION)
    return str(found.version) if found else ""


def version_tags(model: str, version: str) -> dict[str, str]:
    """Tags of a version."""
    return dict(MlflowClient().get_model_version(model, version).tags)


def version_trained_on(model: str, rows: str, images: str) -> str:
    """The champion, else the newest version of a retraining, if its data had this `rows_hash` and `images_hash`.

    Images do not count where `images` is empty, nor for a version of which they are not known. "" if there is none.
    """
    champion = champion_version(model)
    if champion:
        tags = version_tags(model, champion)
        if tags.get("dataset.sha256") == rows and _saw(tags, images):
            return champion
    wanted = f"name='{model}' and tags.`{_RETRAINED}` = 'true' and tags.`dataset.sha256` = '{rows}'"
    found = MlflowClient().search_model_versions(wanted)
    return str(max((int(version.version) for version in found if _saw(version.tags, images)), default=""))


@contextmanager
def version_files(model: str, version: str) -> Iterator[Path]:
    """A folder on this machine with a version's `package` and `pairs.json`, as long as the block lasts.

    Where the store is elsewhere they are fetched into the scratch folder, and removed from it at the end. Raises
    RegistryError when they are gone.
    """
    location = MlflowClient().get_model_version_download_uri(model, version)
    with tempfile.TemporaryDirectory(dir=workspace().scratch) as scratch:
        try:
            copy = scratch if folder_here(location) is None else None
            files = Path(mlflow.artifacts.download_artifacts(location, dst_path=copy)) / "artifacts"
        except (OSError, MlflowException) as error:
            raise RegistryError(
                f"The files of version {version} cannot be read: {error}. Make another version the champion with"
                " promote VERSION."
            ) from None
        yield files


def trained_pairs(files: Path) -> dict[str, list[str]]:
    """The hashes (`pair_hashes`) of a version's pairs by split; `files` as `version_files` gives them."""
    path = files / "pairs.json"
    kept = read_json(path)
    check_format(path, kept.get("format", _PAIRS_FORMAT), _PAIRS_FORMAT)
    return {split: kept[split] for split in SPLITS}


def champion_history(model: str, client: MlflowClient) -> list[dict[str, str]]:
    """Every remembered move of the champion, oldest first: version, how, by, at, why."""
    found = found_or_none(client.get_registered_model, model)
    kept = found.tags.get(_HISTORY, found.tags.get(_OLD_HISTORY)) if found else None
    return json.loads(kept) if kept else []


def result_exists(model: str, run_id: str, version: str) -> bool:
    """Whether a tracked run and the version that it registered, with the model's files, are still there."""
    location = found_or_none(MlflowClient().get_model_version_download_uri, model, version)
    if location is None or not run_exists(run_id):
        return False
    files = folder_here(location)
    return files is None or (files / "MLmodel").is_file()


def run_exists(run_id: str) -> bool:
    """Whether a run is there and not deleted."""
    run = found_or_none(MlflowClient().get_run, run_id)
    return run is not None and run.info.lifecycle_stage == "active"


def _same_version(model: str, client: MlflowClient, code: str) -> str:
    """The version that the active run registered with this code, "" where there is none with its files."""
    run = mlflow.active_run()
    found = client.search_model_versions(f"run_id='{run.info.run_id}'") if run else []
    same = [one for one in found if one.name == model and one.tags.get(_CODE) == code]
    numbers = [str(one.version) for one in same if result_exists(model, one.run_id, str(one.version))]
    return max(numbers, key=int, default="")


def _begin_version(
    model: str, client: MlflowClient, package: Path, shown: Shown, hashes: Mapping[str, list[str]], code: str
) -> str:
    """Logs the packed model to the active run, in place of what a killed attempt has logged, and makes a version."""
    if run := mlflow.active_run():
        used = {logged_model_of(one) for one in client.search_model_versions(f"run_id='{run.info.run_id}'")}
        wanted = f"source_run_id = '{run.info.run_id}'"
        for left in client.search_logged_models([run.info.experiment_id], wanted):
            if left.model_id not in used:
                remove_model(client, left.model_id)
    logged = _log_model(model, package, shown, hashes)
    if run:
        _log_kept_epoch(client, run.info.run_id, logged.model_id, shown.epoch)
    tags = {_WHOLE: "false", _CODE: code}
    return str(mlflow.register_model(logged.model_uri, model, tags=tags).version)


def _log_kept_epoch(client: MlflowClient, run_id: str, model_id: str, epoch: int) -> None:
    """Has the model's page show the validation figures of its epoch; MLflow adds the run's final figures itself."""
    names = [name for name in client.get_run(run_id).data.metrics if name.startswith(VALIDATION)]
    points = [point for name in names for point in client.get_metric_history(run_id, name)]
    kept = [
        Metric(point.key, point.value, point.timestamp, point.step, model_id=model_id, run_id=run_id)
        for point in points
        if point.step == epoch
    ]
    client.log_batch(run_id, metrics=kept)  # in the run they are the points that it has


def _mark_whole(model: str, client: MlflowClient, version: str, *, retrained: bool) -> None:
    if retrained:
        # Behind the aliases: until it is there, a retraining on the same data is not taken for done.
        client.set_model_version_tag(model, version, _RETRAINED, "true")
    client.set_model_version_tag(model, version, _WHOLE, "true")


def _log_model(model: str, package: Path, shown: Shown, hashes: Mapping[str, list[str]]) -> Any:
    settings = read_settings(package)
    with tempfile.TemporaryDirectory() as scratch:
        pairs, read_me = Path(scratch) / "pairs.json", Path(scratch) / MODEL_CARD
        write_json(pairs, {"format": _PAIRS_FORMAT, **hashes})
        read_me.write_text(shown.card, encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name=shown.title,
            python_model=str(PROJECT / "tracking" / "pyfunc_model.py"),
            artifacts={"package": str(package), "pairs": str(pairs), "card": str(read_me)},
            pip_requirements=[f"{name}=={installed(name)}" for name in _LIBRARIES],
            tags={OURS: model, MLFLOW_RUN_NOTE: shown.description},
            signature=_signature(settings["labels"], settings["columns"]),
            input_example=_example(settings["columns"]),
        )


def _signature(labels: Sequence[str], columns: Sequence[tuple[str, str]]) -> mlflow.models.ModelSignature:
    """`columns` are those that the model takes, with their types."""
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [ColSpec(DataType[kind], name, required=False) for name, kind in columns]
    outputs = [
        ColSpec(DataType.string, LABEL),
        *(ColSpec(DataType.float, name) for name in probability_columns(labels)),
    ]
    return mlflow.models.ModelSignature(Schema(inputs), Schema([*outputs, ColSpec(DataType.string, "error")]))


def _example(columns: Sequence[tuple[str, str]]) -> pd.DataFrame:
    absent = {name: [""] for name, _ in columns}
    texts = {"text_1": ["The bridge opened on Monday."], "text_2": ["The bridge is still closed."]}
    return pd.DataFrame(absent | texts)


def _give_alias(
    model: str, client: MlflowClient, version: str, *, generated: bool, lacking: Sequence[str]
) -> None:
    """Makes a version the champion that may be without a gate, and another one the challenger.

    `lacking`: classes without a row in the test split; who was not judged on them is no champion by itself.
    """
    current = champion_version(model)
    if current == version:
        return
    if lacking:
        _LOG.warning(
            "Version %s is no champion: its test split has no row of %s. Add rows of it, or: promote %s",
            *(version, ", ".join(lacking), version),
        )
        client.set_registered_model_alias(model, CHALLENGER, version)
        return
    if not current:
        _crown(model, client, version, "the first version")
        return
    tags = client.get_model_version(model, current).tags
    if tags.get("data.generated") == "true" and not generated:
        _crown(model, client, version, f"version {current} was trained on generated data")
        return
    client.set_registered_model_alias(model, CHALLENGER, version)


def _follow(model: str, client: MlflowClient, version: str, decision: Mapping[str, Any]) -> None:
    """Does what the gate decided, unless somebody has moved the champion since it was compared."""
    current, judged = champion_version(model), decision["champion_version"]
    why, promoted = decision["why"], decision["promote"]
    if current == version:
        return
    if current != judged:
        promoted = False
        why = f"the champion was version {judged or 'none'} when it was judged and is {current or 'none'} now; {why}"
    if promoted:
        _crown(model, client, version, why, how=GATE, reasons=decision["reasons"])
        return
    keep_decision(
        model, client, version, REFUSED, how=GATE, why=why, previous=current, reasons=decision["reasons"]
    )
    client.set_registered_model_alias(model, CHALLENGER, version)


def catch_up(model: str, client: MlflowClient, besides: str = "") -> None:
    """Finishes a registration and a move of the champion that were cut off behind the alias, undoes what was before.

    A version of a run that is going is somebody else's, `besides` the caller's.
    """
    current = champion_version(model)
    tags = version_tags(model, current) if current else {}
    history = champion_history(model, client)
    if "promotion.outcome" in tags and [move["version"] for move in history[-1:]] != [current]:
        _remember(model, client, current)
    for begun in client.search_model_versions(f"name='{model}' and tags.`{_WHOLE}` = 'false'"):
        version = str(begun.version)
        if version == besides or _is_going(client, begun.run_id):
            continue
        if version == current:
            _mark_whole(model, client, version, retrained=tags.get("promotion.how") == GATE)
        else:
            _LOG.warning("Version %s was left half registered by a killed run: removed.", version)
            remove_model(client, logged_model_of(begun))
            client.delete_model_version(model, version)


def _is_going(client: MlflowClient, run_id: str | None) -> bool:
    """Whether a process is logging to a run; a killed one leaves its run as if it was."""
    run = found_or_none(client.get_run, run_id) if run_id else None
    if run is None or run.info.status != "RUNNING":
        return False
    if mlflow.get_tracking_uri() != tracking_uri():
        return True
    try:
        with locked(workspace().run_lock, wait=False):
            return False
    except BlockingIOError:
        return True


def one_at_a_time() -> AbstractContextManager[None]:
    """Keeps others of this home from moving the champion, and versions from being removed, until the block ends."""
    return locked(workspace().home / "registry.lock")


def _line_of_champions(model: str, client: MlflowClient) -> list[str]:
    """Champions in order, without those that a rollback has undone: rolling back twice goes back two."""
    line: list[str] = []
    for move in champion_history(model, client):
        if move["how"] == "rollback":
            while line and line[-1] != move["version"]:
                line.pop()
            # The move that first made it champion may be forgotten.
            line = line or [move["version"]]
        else:
            line.append(move["version"])
    return line


def _crown(
    model: str,
    client: MlflowClient,
    version: str,
    why: str,
    *,
    how: str = AUTOMATIC,
    outcome: str = PROMOTED,
    reasons: Iterable[Any] = (),
) -> None:
    previous = champion_version(model)
    keep_decision(model, client, version, outcome, how=how, why=why, previous=previous, reasons=reasons)
    client.set_registered_model_alias(model, CHAMPION, version)
    _remember(model, client, version)


def _remember(model: str, client: MlflowClient, version: str) -> None:
    """Adds the champion's move, as its tags tell it, to the moves that are remembered, unless it is there."""
    tags = version_tags(model, version)
    move = {
        "version": version,
        "how": "rollback" if tags.get("promotion.outcome") == ROLLED_BACK else "promote",
    }
    move |= {key: shortened(tags.get(f"promotion.{key}", ""), _WORDS) for key in ("by", "at", "why")}
    aliases = client.get_registered_model(model).aliases
    if str(aliases.get(CHALLENGER, "")) == version:
        client.delete_registered_model_alias(model, CHALLENGER)
    history = champion_history(model, client)
    if history[-1:] != [move]:
        kept = [*history, move][-_KEPT:]
        # What is not ASCII takes six or twelve characters there.
        while len(json.dumps(kept)) > _TAG:
            del kept[0]
        client.set_registered_model_tag(model, _HISTORY, json.dumps(kept))
        found_or_none(client.delete_registered_model_tag, model, _OLD_HISTORY)


def _check_existence(model: str, client: MlflowClient, version: str) -> None:
    if found_or_none(client.get_model_version, model, version) is None:
        found = sorted(int(v.version) for v in client.search_model_versions(f"name='{model}'"))
        known = ", ".join(map(str, found)) or "none yet, train first"
        raise RegistryError(f"There is no version {version} of {model}. There are: {known}.")


def _saw(tags: Mapping[str, str], images: str) -> bool:
    return not images or tags.get(_IMAGES, images) == images


def _digest(hashes: list[str]) -> str:
    import hashlib

    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
