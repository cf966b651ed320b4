"""The registered model: its versions, and the aliases `champion` and `challenger`."""

import getpass
import json
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from entailment.data.pairs import pair_hashes
from entailment.data.schema import LABEL, PROBABILITY, SPLITS, TEXT
from entailment.data.split import SPLIT_COLUMN
from entailment.errors import RegistryError
from entailment.files import locked, write_json
from entailment.home import PROJECT, home
from tracking.experiment import REGISTERED_MODEL

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
MODEL_CARD: Final = "model_card.md"
_DESCRIPTION: Final = 4900
"""Characters of the card that a version's page shows: MLflow's column holds 5,000; the file is whole."""
_HISTORY: Final = "champion.history"
_KEPT: Final = 20
"""Moves of the champion that are remembered: an MLflow tag holds 5,000 characters."""
_LIBRARIES: Final = (
    "mlflow",
    "tensorflow",
    "tensorflow-text",
    "tensorflow-hub",
    "keras",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "tqdm",
    "setuptools",
)


def register(
    package: Path, card: str, splits: pd.DataFrame, source: Mapping[str, Any], report: Mapping[str, Any]
) -> str:
    """Logs the packed model and its card to the active run, registers it as a new version, moves the aliases.

    Returns the version's number, as text.
    """
    hashes = {split: pair_hashes(splits[splits[SPLIT_COLUMN] == split]).tolist() for split in SPLITS}
    client = MlflowClient()
    # A process that died on the way may have registered this run before.
    for left in client.search_model_versions(f"run_id='{mlflow.active_run().info.run_id}'"):
        client.delete_model_version(left.name, left.version)
    version = str(_log_model(package, card, hashes).registered_model_version)
    mlflow.log_text(card, MODEL_CARD)
    client.update_model_version(REGISTERED_MODEL, version, description=card[:_DESCRIPTION])
    tags = {name: f"{value:.6f}" for name, value in report["metrics"].items()}
    tags |= {"dataset": source["name"], "dataset.sha256": source["sha256"]}
    tags |= {"data.generated": str(source["generated"]).lower()}
    tags |= {f"pairs.{split}.sha256": _digest(hashes[split]) for split in SPLITS}
    for name, value in tags.items():
        client.set_model_version_tag(REGISTERED_MODEL, version, name, value)
    with _one_at_a_time():
        _give_alias(client, version, generated=source["generated"])
    return version


def promote(version: str, why: str) -> dict[str, str]:
    """Makes `version` the champion; returns `version` and `previous` ("" when there was none).

    Raises:
        RegistryError: there is no such version, or it is the champion already.
    """
    client = MlflowClient()
    _existing(client, version)
    with _one_at_a_time():
        previous = champion_version()
        if previous == version:
            raise RegistryError(f"Version {version} is the champion already: nothing was changed.")
        _crown(client, version, why)
    return {"version": version, "previous": previous}


def rollback(why: str) -> dict[str, str]:
    """Gives the champion's alias back to the version that had it before; returns as `promote`.

    Raises:
        RegistryError: no earlier champion is left.
    """
    client = MlflowClient()
    present = {str(v.version) for v in client.search_model_versions(f"name='{REGISTERED_MODEL}'")}
    with _one_at_a_time():
        current = champion_version()
        line = [
            version for version in _line_of_champions(client) if version in present and version != current
        ]
        if not line:
            raise RegistryError(
                "There is no earlier champion to go back to. Name a version: promote VERSION."
            )
        _crown(client, line[-1], why, how="rollback")
    return {"version": line[-1], "previous": current}


def champion_version() -> str:
    """The champion's version number, "" when there is none."""
    try:
        return str(MlflowClient().get_model_version_by_alias(REGISTERED_MODEL, CHAMPION).version)
    except MlflowException as error:
        _absent_or_raise(error)
        return ""


def champion_history(client: MlflowClient) -> list[dict[str, str]]:
    """Every remembered move of the champion, oldest first: version, how, by, at, why."""
    try:
        tags = client.get_registered_model(REGISTERED_MODEL).tags
    except MlflowException as error:
        _absent_or_raise(error)
        return []
    return json.loads(tags.get(_HISTORY, "[]"))


def result_exists(run_id: str, version: str) -> bool:
    """Whether a tracked run and the version that it registered, with the model's files, are still there."""
    client = MlflowClient()
    try:
        run = client.get_run(run_id)
        location = client.get_model_version_download_uri(REGISTERED_MODEL, version)
    except MlflowException as error:
        _absent_or_raise(error)
        return False
    files = Path(unquote(urlsplit(location).path)) if urlsplit(location).scheme in ("", "file") else None
    return run.info.lifecycle_stage == "active" and (files is None or (files / "MLmodel").is_file())


def run_exists(run_id: str) -> bool:
    """Whether a run is there and not deleted."""
    try:
        return bool(MlflowClient().get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        _absent_or_raise(error)
        return False


def _log_model(package: Path, card: str, hashes: Mapping[str, list[str]]) -> Any:
    with tempfile.TemporaryDirectory() as scratch:
        pairs, read_me = Path(scratch) / "pairs.json", Path(scratch) / MODEL_CARD
        write_json(pairs, hashes)
        read_me.write_text(card, encoding="utf-8")
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PROJECT / "tracking" / "pyfunc_model.py"),
            artifacts={"package": str(package), "pairs": str(pairs), "card": str(read_me)},
            code_paths=[str(PROJECT / "entailment")],
            pip_requirements=[f"{name}=={installed(name)}" for name in _LIBRARIES],
            registered_model_name=REGISTERED_MODEL,
            signature=_signature(),
            input_example=_example(),
        )


def _signature() -> mlflow.models.ModelSignature:
    from mlflow.types import ColSpec, DataType, Schema

    inputs = [ColSpec(DataType.string, name, required=False) for name in TEXT]
    inputs += [ColSpec(DataType.binary, name, required=False) for name in ("image_1", "image_2")]
    outputs = [ColSpec(DataType.string, LABEL), *(ColSpec(DataType.float, name) for name in PROBABILITY)]
    return mlflow.models.ModelSignature(Schema(inputs), Schema([*outputs, ColSpec(DataType.string, "error")]))


def _example() -> pd.DataFrame:
    texts = {"text_1": ["The bridge opened on Monday."], "text_2": ["The bridge is still closed."]}
    return pd.DataFrame(texts | {"image_1": [b""], "image_2": [b""]})


def _give_alias(client: MlflowClient, version: str, *, generated: bool) -> None:
    current = champion_version()
    if not current:
        _crown(client, version, "the first version")
        return
    tags = client.get_model_version(REGISTERED_MODEL, current).tags
    if tags.get("data.generated") == "true" and not generated:
        _crown(client, version, f"version {current} was trained on generated data")
        return
    client.set_registered_model_alias(REGISTERED_MODEL, CHALLENGER, version)


def _one_at_a_time() -> AbstractContextManager[None]:
    return locked(home() / "registry.lock")


def _line_of_champions(client: MlflowClient) -> list[str]:
    """Champions in order, without those that a rollback has undone: rolling back twice goes back two."""
    line: list[str] = []
    for move in champion_history(client):
        if move["how"] == "rollback":
            while line and line[-1] != move["version"]:
                line.pop()
        else:
            line.append(move["version"])
    return line


def _crown(client: MlflowClient, version: str, why: str, how: str = "promote") -> None:
    move = {
        "version": version,
        "how": how,
        "by": _user(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why[:150],
    }
    history = [*champion_history(client), move][-_KEPT:]
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, version)
    client.set_registered_model_tag(REGISTERED_MODEL, _HISTORY, json.dumps(history))
    for name in ("by", "at", "why"):
        client.set_model_version_tag(REGISTERED_MODEL, version, f"promoted.{name}", move[name])
    aliases = client.get_registered_model(REGISTERED_MODEL).aliases
    if str(aliases.get(CHALLENGER, "")) == version:
        client.delete_registered_model_alias(REGISTERED_MODEL, CHALLENGER)


def _existing(client: MlflowClient, version: str) -> "ModelVersion":
    try:
        return client.get_model_version(REGISTERED_MODEL, version)
    except MlflowException as error:
        _absent_or_raise(error)
        found = sorted(int(v.version) for v in client.search_model_versions(f"name='{REGISTERED_MODEL}'"))
        known = ", ".join(map(str, found)) or "none yet: train first"
        raise RegistryError(
            f"There is no version {version} of {REGISTERED_MODEL}. There are: {known}."
        ) from None


def _absent_or_raise(error: MlflowException) -> None:
    """MLflow says in these two ways that a thing is not there; a locked database must not pass for that."""
    if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        raise error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _digest(hashes: list[str]) -> str:
    import hashlib

    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
