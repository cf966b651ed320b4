"""Files of runs and logged models, as far as they lie on this machine."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_Found = TypeVar("_Found")


def found_or_none(call: Callable[..., _Found], *arguments: object) -> _Found | None:
    """What a call of MLflow gives, None where the thing is not there.

    MLflow says that in these two ways; a locked database, say, must not pass for it.

    Example:
        found_or_none(client.get_run, run_id)
    """
    try:
        return call(*arguments)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def folder_here(location: str) -> Path | None:
    """The folder of this machine that a location names, None where it lies elsewhere."""
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def logged_model_of(version: "ModelVersion") -> str:
    """The id of the logged model that a version is made of; MLflow keeps it as the version's source alone."""
    return str(version.source).rpartition("/")[2]


def folder_of_model(client: MlflowClient, model_id: str) -> Path | None:
    """Of a logged model; None where it is gone or lies elsewhere."""
    logged = found_or_none(client.get_logged_model, model_id)
    return _whole_folder(logged.artifact_location, model_id) if logged else None


def folder_of_run(client: MlflowClient, run_id: str | None) -> Path | None:
    """Of a run, also of one that was deleted in the UI; None where it is gone or lies elsewhere."""
    run = found_or_none(client.get_run, run_id) if run_id else None
    return _whole_folder(run.info.artifact_uri, run.info.run_id) if run else None


def remove_model(client: MlflowClient, model_id: str) -> None:
    """Removes the files of a logged model, then itself; does nothing where it is gone."""
    _remove(folder_of_model(client, model_id))
    found_or_none(client.delete_logged_model, model_id)


def remove_run(client: MlflowClient, run_id: str | None) -> None:
    """The same with a run."""
    _remove(folder_of_run(client, run_id))
    if run_id:
        found_or_none(client.delete_run, run_id)


def _whole_folder(location: str, name: str) -> Path | None:
    """MLflow's locations end in `artifacts`, in a folder that is called as the thing is."""
    folder = folder_here(location)
    return folder.parent if folder and folder.parent.name == name else folder


def _remove(folder: Path | None) -> None:
    if folder and folder.exists():
        shutil.rmtree(folder)
