"""The registered model: its versions, and the aliases `champion` and `challenger`."""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from entailment.data.pairs import pair_hashes
from entailment.data.split import SPLIT_COLUMN
from entailment.errors import RegistryError
from entailment.files import check_format, locked, read_json, write_json
from entailment.promotion.gate import PROMOTED, REFUSED, ROLLED_BACK
from entailment.serving.package import read_settings
from entailment.task import LABEL, SPLITS, probability_columns
from entailment.workspace import PROJECT, workspace
from tracking.decisions import AUTOMATIC, GATE, PERSON, keep_decision, shortened
from tracking.experiment import tracking_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
MODEL_CARD: Final = "model_card.md"
_DESCRIPTION: Final = 4900
"""Characters of the card that a version's page shows: MLflow's column holds 5,000; the file is whole."""
_HISTORY: Final = "champion.history"
_IMAGES: Final = "dataset.images.sha256"
"""Tag with the `images_hash` of the images that a version has seen, empty for one that sees none."""
_RETRAINED: Final = "retrained"
"""Tag of the versions that a promotion gate has judged."""
_WHOLE: Final = "whole"
"""Tag of a version: "false" from its first moment, "true" at the end of its registration; earlier programs wrote none
at first.
"""
_PAIRS_FORMAT: Final = 1
_KEPT: Final = 20
"""Moves of the champion that are remembered at most."""
_TAG: Final = 5000
"""Characters that a tag of a registered model holds on PostgreSQL and MySQL."""
_WORDS: Final = 150
"""Characters of a reason, or a name, that are remembered with a move; the version's tag and its run have more."""
_LIBRARIES: Final = ("mlflow", "tensorflow", "tensorflow-text", "numpy", "pandas", "pillow")
_LOG = logging.getLogger(__name__)


def register(
    model: str,
    package: Path,
    card: str,
    splits: pd.DataFrame,
    source: Mapping[str, Any],
    image_report: Mapping[str, Any],
    report: Mapping[str, Any],
    decision: Mapping[str, Any] | None = None,
) -> str:
    """Logs the packed model and its card to the active run, registers it as a new version, moves the aliases.

    `decision` (`Decision.as_dict`) says whether the version becomes champion; without one the first version does, and
    one on other data after one on generated data, if its test split holds every class.

    The order of writes: the model's files, the version, its tags and the evidence of a decision, the alias, what is
    remembered of the move, last that the version is whole. A step that was killed here and runs again for the same
    MLflow run goes on with its version. Else the next move of the champion finds it (`_catch_up`): a version with the
    champion's alias is finished, one without is removed.

    Returns the version's number, as text.
    """
    hashes = {split: pair_hashes(splits[splits[SPLIT_COLUMN] == split]).tolist() for split in SPLITS}
    client = MlflowClient()
    version = _begun_version(model, client) or _begin_version(model, client, package, card, hashes)
    mlflow.log_text(card, MODEL_CARD)
    client.update_model_version(model, version, description=card[:_DESCRIPTION])
    tags = {name: f"{value:.6f}" for name, value in report["metrics"].items()}
    tags |= {"dataset": source["name"], "dataset.sha256": source["sha256"]}
    tags |= {_IMAGES: image_report["sha256"]}
    tags |= {"data.generated": str(source["generated"]).lower()}
    tags |= {f"pairs.{split}.sha256": _digest(hashes[split]) for split in SPLITS}
    for name, value in tags.items():
        client.set_model_version_tag(model, version, name, value)
    with _one_at_a_time():
        _catch_up(model, client)
        if decision is None:
            test = set(splits.loc[splits[SPLIT_COLUMN] == "test", LABEL])
            lacking = [label for label in read_settings(package)["labels"] if label not in test]
            _give_alias(model, client, version, generated=source["generated"], lacking=lacking)
        else:
            _follow(model, client, version, decision)
        _finish(model, client, version, retrained=decision is not None)
    return version


def promote(model: str, version: str, why: str) -> dict[str, str]:
    """Makes `version` the champion; returns `version` and `previous` ("" when there was none).

    Raises:
        RegistryError: there is no such version, or it is the champion already.
    """
    client = MlflowClient()
    _existing(model, client, version)
    with _one_at_a_time():
        _catch_up(model, client)
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
    with _one_at_a_time():
        _catch_up(model, client)
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
    try:
        return str(MlflowClient().get_model_version_by_alias(model, CHAMPION).version)
    except MlflowException as error:
        absent_or_raise(error)
        return ""


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
    try:
        tags = client.get_registered_model(model).tags
    except MlflowException as error:
        absent_or_raise(error)
        return []
    return json.loads(tags.get(_HISTORY, "[]"))


def result_exists(model: str, run_id: str, version: str) -> bool:
    """Whether a tracked run and the version that it registered, with the model's files, are still there."""
    client = MlflowClient()
    try:
        run = client.get_run(run_id)
        location = client.get_model_version_download_uri(model, version)
    except MlflowException as error:
        absent_or_raise(error)
        return False
    files = folder_here(location)
    return run.info.lifecycle_stage == "active" and (files is None or (files / "MLmodel").is_file())


def folder_here(location: str) -> Path | None:
    """The folder of this machine that a location names, None where it lies elsewhere."""
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def run_exists(run_id: str) -> bool:
    """Whether a run is there and not deleted."""
    try:
        return bool(MlflowClient().get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        absent_or_raise(error)
        return False


def _begin_version(
    model: str, client: MlflowClient, package: Path, card: str, hashes: Mapping[str, list[str]]
) -> str:
    """Logs the packed model to the active run, in place of what a killed attempt has logged, and makes a version."""
    run = mlflow.active_run()
    if run:
        wanted = f"source_run_id = '{run.info.run_id}'"
        for left in client.search_logged_models([run.info.experiment_id], wanted):
            remove_logged_model(client, left.model_id)
    logged = _log_model(package, card, hashes)
    return str(mlflow.register_model(logged.model_uri, model, tags={_WHOLE: "false"}).version)


def logged_model_of(version: "ModelVersion") -> str:
    """The id of the logged model that a version is made of; MLflow keeps it as the version's source alone."""
    return str(version.source).rpartition("/")[2]


def remove_logged_model(client: MlflowClient, model_id: str) -> None:
    """Deletes a logged model, unless it is gone, and its files where they are on this machine."""
    if folder := logged_model_folder(client, model_id):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        client.delete_logged_model(model_id)
    except MlflowException as error:
        absent_or_raise(error)


def logged_model_folder(client: MlflowClient, model_id: str) -> Path | None:
    """Of a logged model's files on this machine; None where it is gone or they lie elsewhere."""
    try:
        folder = folder_here(client.get_logged_model(model_id).artifact_location)
    except MlflowException as error:
        absent_or_raise(error)
        return None
    return folder.parent if folder and folder.parent.name == model_id else folder


def _finish(model: str, client: MlflowClient, version: str, *, retrained: bool) -> None:
    if retrained:
        # Behind the aliases: until it is there, a retraining on the same data is not taken for done.
        client.set_model_version_tag(model, version, _RETRAINED, "true")
    client.set_model_version_tag(model, version, _WHOLE, "true")


def _log_model(package: Path, card: str, hashes: Mapping[str, list[str]]) -> Any:
    settings = read_settings(package)
    with tempfile.TemporaryDirectory() as scratch:
        pairs, read_me = Path(scratch) / "pairs.json", Path(scratch) / MODEL_CARD
        write_json(pairs, {"format": _PAIRS_FORMAT, **hashes})
        read_me.write_text(card, encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PROJECT / "tracking" / "pyfunc_model.py"),
            artifacts={"package": str(package), "pairs": str(pairs), "card": str(read_me)},
            pip_requirements=[f"{name}=={installed(name)}" for name in _LIBRARIES],
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
        # An attempt that died may have come no further than the alias.
        _remember(model, client, version)
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


def _catch_up(model: str, client: MlflowClient) -> None:
    """Finishes a registration and a move of the champion that were cut off behind the alias, undoes what was before.

    A version of a run that is going is somebody else's.
    """
    current = champion_version(model)
    tags = version_tags(model, current) if current else {}
    history = champion_history(model, client)
    if "promotion.outcome" in tags and [move["version"] for move in history[-1:]] != [current]:
        _remember(model, client, current)
    for begun in client.search_model_versions(f"name='{model}' and tags.`{_WHOLE}` = 'false'"):
        if is_going(client, begun.run_id):
            continue
        if str(begun.version) == current:
            _finish(model, client, current, retrained=tags.get("promotion.how") == GATE)
        else:
            _LOG.warning("Version %s was left half registered by a killed run: removed.", begun.version)
            remove_logged_model(client, logged_model_of(begun))
            client.delete_model_version(model, str(begun.version))


def is_going(client: MlflowClient, run_id: str) -> bool:
    """Whether a process is logging to a run; a killed one leaves its run as if it was."""
    if not run_id or client.get_run(run_id).info.status != "RUNNING":
        return False
    if mlflow.get_tracking_uri() != tracking_uri():
        return True
    try:
        with locked(workspace().home / "run.lock", wait=False):
            return False
    except BlockingIOError:
        return True


def _one_at_a_time() -> AbstractContextManager[None]:
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
    history = champion_history(model, client)
    if history[-1:] != [move]:
        kept = [*history, move][-_KEPT:]
        # What is not ASCII takes six or twelve characters there.
        while len(json.dumps(kept)) > _TAG:
            del kept[0]
        client.set_registered_model_tag(model, _HISTORY, json.dumps(kept))
    aliases = client.get_registered_model(model).aliases
    if str(aliases.get(CHALLENGER, "")) == version:
        client.delete_registered_model_alias(model, CHALLENGER)


def _begun_version(model: str, client: MlflowClient) -> str:
    """The version that the active run has begun to register, "" when there is none that is not whole."""
    run = mlflow.active_run()
    found = client.search_model_versions(f"run_id='{run.info.run_id}'") if run else []
    begun = [str(one.version) for one in found if one.name == model and one.tags.get(_WHOLE) == "false"]
    return begun[0] if begun else ""


def _existing(model: str, client: MlflowClient, version: str) -> "ModelVersion":
    try:
        return client.get_model_version(model, version)
    except MlflowException as error:
        absent_or_raise(error)
        found = sorted(int(v.version) for v in client.search_model_versions(f"name='{model}'"))
        known = ", ".join(map(str, found)) or "none yet: train first"
        raise RegistryError(f"There is no version {version} of {model}. There are: {known}.") from None


def absent_or_raise(error: MlflowException) -> None:
    """MLflow says in these two ways that a thing is not there; a locked database must not pass for that."""
    if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        raise error


def _saw(tags: Mapping[str, str], images: str) -> bool:
    return not images or tags.get(_IMAGES, images) == images


def _digest(hashes: list[str]) -> str:
    import hashlib

    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
