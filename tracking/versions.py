"""The registered versions: what each is, and removing those that nobody needs."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from entailment.files import bytes_of_folder
from tracking.registry import (
    absent_or_raise,
    folder_here,
    is_going,
    logged_model_folder,
    logged_model_of,
    remove_logged_model,
    rollback_target,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model; figures are of its test split, None where it does not tell them."""

    version: int
    aliases: list[str]
    registered: float
    """Seconds since 1970, UTC."""
    dataset: str
    generated: bool
    """Whether its data were."""
    macro_f1: float | None
    macro_f1_low: float | None
    macro_f1_high: float | None
    accuracy: float | None
    majority_accuracy: float | None
    run_id: str
    bytes: int
    """Of its model and its run on this machine."""


@dataclass(frozen=True)
class Pruned:
    """What `prune_versions` removed."""

    versions: list[int]
    bytes: int


def registered_versions(model: str) -> list[RegisteredVersion]:
    """All versions, the newest first."""
    client = MlflowClient()
    aliases = _aliases(model, client)
    return [_described(version, aliases, client) for version in _all(model, client)]


def prune_versions(model: str) -> Pruned:
    """Removes every version that no alias names and no rollback goes to, with its model, its run and their files.

    So are models that a killed registration left without a version. A version goes last: what is interrupted the same
    command takes up again. Runs and models that are removed stay in MLflow's lists of deleted ones, without files; of
    a server elsewhere the files stay until `mlflow gc` is run there.
    """
    client = MlflowClient()
    kept = {*_aliases(model, client), rollback_target(model, client)}
    doomed = [version for version in _all(model, client) if str(version.version) not in kept]
    freed = 0
    for version in doomed:
        freed += _bytes_of(version, client)
        remove_logged_model(client, logged_model_of(version))
        _remove_run(client, version.run_id)
        client.delete_model_version(model, str(version.version))
    freed += sum(_removed_left_over(model, client))
    return Pruned(sorted(int(version.version) for version in doomed), freed)


def _all(model: str, client: MlflowClient) -> list["ModelVersion"]:
    found = client.search_model_versions(f"name='{model}'", max_results=10_000)
    return sorted(found, key=lambda version: -int(version.version))


def _aliases(model: str, client: MlflowClient) -> dict[str, list[str]]:
    """By version the aliases that name it."""
    names: dict[str, list[str]] = {}
    try:
        for alias, version in sorted(client.get_registered_model(model).aliases.items()):
            names.setdefault(str(version), []).append(alias)
    except MlflowException as error:
        absent_or_raise(error)
    return names


def _described(
    version: "ModelVersion", aliases: dict[str, list[str]], client: MlflowClient
) -> RegisteredVersion:
    tags = version.tags

    def figure(name: str) -> float | None:
        return float(tags[name]) if name in tags else None

    return RegisteredVersion(
        version=int(version.version),
        aliases=aliases.get(str(version.version), []),
        registered=version.creation_timestamp / 1000,
        dataset=tags.get("dataset", ""),
        generated=tags.get("data.generated") == "true",
        macro_f1=figure("test_macro_f1"),
        macro_f1_low=figure("test_macro_f1_ci_low"),
        macro_f1_high=figure("test_macro_f1_ci_high"),
        accuracy=figure("test_accuracy"),
        majority_accuracy=figure("test_majority_accuracy"),
        run_id=version.run_id,
        bytes=_bytes_of(version, client),
    )


def _removed_left_over(model: str, client: MlflowClient) -> Iterator[int]:
    """Removes models that belong to no version and to no run that is going; the bytes of each."""
    experiment = client.get_experiment_by_name(model)
    needed = {logged_model_of(version) for version in _all(model, client)}
    for logged in client.search_logged_models([experiment.experiment_id]) if experiment else ():
        if logged.model_id not in needed and not is_going(client, logged.source_run_id):
            yield _bytes(logged_model_folder(client, logged.model_id))
            remove_logged_model(client, logged.model_id)


def _bytes_of(version: "ModelVersion", client: MlflowClient) -> int:
    model = logged_model_folder(client, logged_model_of(version))
    return _bytes(model) + _bytes(_run_folder(client, version.run_id))


def _bytes(folder: Path | None) -> int:
    return bytes_of_folder(folder) if folder else 0


def _remove_run(client: MlflowClient, run_id: str) -> None:
    if folder := _run_folder(client, run_id):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        client.delete_run(run_id)
    except MlflowException as error:
        absent_or_raise(error)


def _run_folder(client: MlflowClient, run_id: str) -> Path | None:
    """Of a run's files on this machine; None where it is gone or they lie elsewhere."""
    try:
        folder = folder_here(client.get_run(run_id).info.artifact_uri)
    except MlflowException as error:
        absent_or_raise(error)
        return None
    return folder.parent if folder and folder.parent.name == run_id else folder
