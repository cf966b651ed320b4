"""The registered versions: what each is, and removing those that nobody needs."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient

from entailment.files import bytes_of_folder
from entailment.metric_names import (
    ACCURACY,
    MACRO_F1,
    MACRO_F1_HIGH,
    MACRO_F1_LOW,
    MAJORITY_ACCURACY,
    figure_of,
)
from tracking.registry import OURS, catch_up, one_at_a_time, rollback_target
from tracking.stored_files import (
    folder_of_model,
    folder_of_run,
    found_or_none,
    logged_model_of,
    remove_model,
    remove_run,
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

    So are models of ours that a killed registration left without a version. A run or a model that another version has
    too stays, also one of another registered model. A version goes last: what is interrupted the same command takes
    up again. Nobody may be registering meanwhile: the caller holds the home. What is removed MLflow lists among the
    deleted runs and models, without files.
    """
    client = MlflowClient()
    with one_at_a_time():
        catch_up(model, client)
        kept = {*_aliases(model, client), rollback_target(model, client)}
        doomed = [version for version in _all(model, client) if str(version.version) not in kept]
        gone = {(model, str(version.version)) for version in doomed}
        others = [
            one for one in _pages(client.search_model_versions) if (one.name, str(one.version)) not in gone
        ]
        models, runs = {logged_model_of(one) for one in others}, {one.run_id for one in others}
        freed = 0
        for version in doomed:
            if logged_model_of(version) not in models:
                freed += _bytes(folder_of_model(client, logged_model_of(version)))
                remove_model(client, logged_model_of(version))
            if version.run_id not in runs:
                freed += _bytes(folder_of_run(client, version.run_id))
                remove_run(client, version.run_id)
            client.delete_model_version(model, str(version.version))
        freed += sum(_removed_left_over(model, client, models))
    return Pruned(sorted(int(version.version) for version in doomed), freed)


def _removed_left_over(model: str, client: MlflowClient, needed: Collection[str]) -> Iterator[int]:
    """Removes logged models of ours that belong to no version; the bytes of each."""
    experiment = client.get_experiment_by_name(model)
    search = partial(client.search_logged_models, [experiment.experiment_id] if experiment else [])
    for logged in _pages(search) if experiment else ():
        if logged.tags.get(OURS) == model and logged.model_id not in needed:
            yield _bytes(folder_of_model(client, logged.model_id))
            remove_model(client, logged.model_id)


def _all(model: str, client: MlflowClient) -> list["ModelVersion"]:
    found = _pages(partial(client.search_model_versions, f"name='{model}'"))
    return sorted(found, key=lambda version: -int(version.version))


def _pages(search: Callable[..., Any]) -> list[Any]:
    """Everything that one of MLflow's searches finds."""
    page = search()
    found = list(page)
    while page.token:
        page = search(page_token=page.token)
        found += page
    return found


def _aliases(model: str, client: MlflowClient) -> dict[str, list[str]]:
    """By version the aliases that name it."""
    names: dict[str, list[str]] = {}
    found = found_or_none(client.get_registered_model, model)
    for alias, version in sorted(found.aliases.items()) if found else ():
        names.setdefault(str(version), []).append(alias)
    return names


def _described(
    version: "ModelVersion", aliases: dict[str, list[str]], client: MlflowClient
) -> RegisteredVersion:
    tags = version.tags
    return RegisteredVersion(
        version=int(version.version),
        aliases=aliases.get(str(version.version), []),
        registered=version.creation_timestamp / 1000,
        dataset=tags.get("dataset", ""),
        generated=tags.get("data.generated") == "true",
        macro_f1=figure_of(tags, MACRO_F1),
        macro_f1_low=figure_of(tags, MACRO_F1_LOW),
        macro_f1_high=figure_of(tags, MACRO_F1_HIGH),
        accuracy=figure_of(tags, ACCURACY),
        majority_accuracy=figure_of(tags, MAJORITY_ACCURACY),
        run_id=version.run_id,
        bytes=_bytes(folder_of_model(client, logged_model_of(version)))
        + _bytes(folder_of_run(client, version.run_id)),
    )


def _bytes(folder: Path | None) -> int:
    return bytes_of_folder(folder) if folder else 0
