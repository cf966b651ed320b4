"""The local stack: made when absent, named after this home, chosen for this process alone."""

import os
import uuid
from pathlib import Path
from typing import Final

from zenml.client import Client
from zenml.enums import StackComponentType as Type

from entailment.errors import ConfigurationError
from entailment.files import check_format, locked, written_aside
from entailment.workspace import workspace
from stacks.tracker import use_stack_s_tracker
from stacks.zenml_database import zenml_client
from tracking.experiment import prepare_experiment, tracking_uri

_FORMAT: Final = 1
"""Of a home."""
_GONE: Final = "entailment_mlflow"
"""The flavor of tracker and registry in homes made earlier; the name stays, settings of schedules hold it."""


def use_local_stack(experiment: str) -> str:
    """Selects the local stack for this process, and makes the MLflow experiment where absent; returns its name.

    The user's active stack stays what it is. Raises as `make_local_stack`.
    """
    prepare_experiment(experiment)
    name, os.environ["ZENML_ACTIVE_STACK_ID"] = make_local_stack()
    use_stack_s_tracker()
    return name


def make_local_stack() -> tuple[str, str]:
    """Makes what is missing of the local stack, and puts one right that was made earlier; its name and id.

    Artifacts lie in `$ENTAILMENT_HOME/zenml`, runs and the registry in `$ENTAILMENT_HOME/mlflow.db`. Raises
    ConfigurationError when the home was copied or moved, DataError when a newer version made it.
    """
    with locked(workspace().home / "stack.lock"):
        name = f"entailment-{_home_id()}"
        return name, _find_or_make(zenml_client(), name)


def _home_id() -> str:
    """Eight characters that tell this home from every other, kept in it with where it was made and its format."""
    path = workspace().home / "id"
    home = path.parent.resolve()
    if not path.is_file():
        with written_aside(path) as aside:
            aside.write_text(f"{uuid.uuid4().hex[:8]}\n{home}\n{_FORMAT}\n", encoding="utf-8")
    identity, made_at, *given = path.read_text(encoding="utf-8").splitlines()
    check_format(path, int(given[0]) if given else 1, _FORMAT)
    if made_at != str(home):
        raise ConfigurationError(
            f"The home {home} was copied or moved from {made_at}, and what it holds names files there. Move it"
            " back, or delete it to begin a new one."
        )
    return identity


def _find_or_make(client: Client, name: str) -> str:
    found = client.list_stacks(name=name, size=1, hydrate=True).items
    if found and found[0].components[Type.EXPERIMENT_TRACKER][0].flavor_name != _GONE:
        return str(found[0].id)
    artifact_folder().mkdir(parents=True, exist_ok=True)
    components = {
        Type.ORCHESTRATOR: ("local", {}),
        Type.ARTIFACT_STORE: ("local", {"path": str(artifact_folder())}),
        Type.EXPERIMENT_TRACKER: ("mlflow", {"tracking_uri": tracking_uri()}),
        Type.MODEL_REGISTRY: ("mlflow", {}),
    }
    for gone in client.list_stack_components(name=name, flavor=_GONE).items:
        client.update_stack_component(gone.id, gone.type, name=f"{name}-before")
    for component, (flavor, configuration) in components.items():
        if not client.list_stack_components(name=name, type=component, size=1).items:
            client.create_stack_component(name, flavor, component, configuration)
    if not found:
        return str(client.create_stack(name, dict.fromkeys(components, name)).id)
    # The local stack is the last of this home's: until it is changed, this is done again.
    for stack in client.list_stacks(name=f"startswith:{name}", sort_by="desc:name").items:
        client.update_stack(
            stack.id, component_updates={Type.EXPERIMENT_TRACKER: name, Type.MODEL_REGISTRY: name}
        )
    return str(found[0].id)


def artifact_folder() -> Path:
    """Where the local stack keeps artifacts; as ZenML spells it, which refuses a folder behind a link."""
    return workspace().home.resolve() / "zenml"


def is_active() -> bool:
    """Whether this process runs on this home's local stack."""
    return Client().active_stack_model.components[Type.ARTIFACT_STORE][0].configuration.get("path") == str(
        artifact_folder()
    )
