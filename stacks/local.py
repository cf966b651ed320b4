"""The local stack: made when absent, named after this home, chosen for this process alone."""

import os
import uuid
from pathlib import Path
from typing import Final

from zenml.client import Client
from zenml.enums import StackComponentType as Type

from entailment.errors import ConfigurationError
from entailment.files import locked, written_aside
from entailment.home import home
from stacks.mlflow_components import FLAVOR, QuickMLflowTrackerFlavor, TolerantMLflowRegistryFlavor
from tracking.experiment import prepare_experiment, tracking_uri

_FLAVORS: Final = {
    QuickMLflowTrackerFlavor: Type.EXPERIMENT_TRACKER,
    TolerantMLflowRegistryFlavor: Type.MODEL_REGISTRY,
}


def use_local_stack() -> str:
    """Makes what is missing of the local stack and selects it for this process; returns its name.

    Artifacts lie in `$ENTAILMENT_HOME/zenml`, runs and the registry in `$ENTAILMENT_HOME/mlflow.db`. The
    user's active stack stays what it is. Raises ConfigurationError when the home was copied or moved.
    """
    with locked(home() / "stack.lock"):
        name = f"entailment-{_home_id()}"
        prepare_experiment()
        stack_id = _find_or_make(Client(), name)
    os.environ["ZENML_ACTIVE_STACK_ID"] = stack_id
    return name


def _home_id() -> str:
    """Eight characters that tell this home from every other, kept in it with the place where it was made."""
    path = home() / "id"
    if not path.is_file():
        with written_aside(path) as aside:
            aside.write_text(f"{uuid.uuid4().hex[:8]}\n{home()}\n", encoding="utf-8")
    identity, made_at = path.read_text(encoding="utf-8").splitlines()
    if made_at != str(home()):
        raise ConfigurationError(
            f"The home {home()} was copied or moved from {made_at}, and what it holds names files there. Move it"
            " back, or delete it to begin a new one."
        )
    return identity


def _find_or_make(client: Client, name: str) -> str:
    if found := client.list_stacks(name=name, size=1).items:
        return str(found[0].id)
    artifact_folder().mkdir(parents=True, exist_ok=True)
    for flavor, kind in _FLAVORS.items():
        if not client.list_flavors(name=FLAVOR, type=kind, size=1).items:
            client.create_flavor(f"{flavor.__module__}.{flavor.__name__}", kind)
    components = {
        Type.ORCHESTRATOR: ("local", {}),
        Type.ARTIFACT_STORE: ("local", {"path": str(artifact_folder())}),
        Type.EXPERIMENT_TRACKER: (FLAVOR, {"tracking_uri": tracking_uri()}),
        Type.MODEL_REGISTRY: (FLAVOR, {}),
    }
    for component, (flavor, configuration) in components.items():
        if not client.list_stack_components(name=name, type=component, size=1).items:
            client.create_stack_component(name, flavor, component, configuration)
    return str(client.create_stack(name, dict.fromkeys(components, name)).id)


def artifact_folder() -> Path:
    """Where the local stack keeps artifacts."""
    return home() / "zenml"


def is_active() -> bool:
    """Whether this process runs on this home's local stack."""
    return Client().active_stack_model.components[Type.ARTIFACT_STORE][0].configuration.get("path") == str(
        artifact_folder()
    )
