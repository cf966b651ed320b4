"""The stack that runs on Airflow: the local stack's store, tracker and registry with another orchestrator."""

import os

from zenml.client import Client
from zenml.enums import StackComponentType as Type

from entailment.files import locked
from entailment.workspace import workspace
from stacks.local import use_local_stack

_OPERATOR = "airflow.providers.standard.operators.bash.BashOperator"


def use_airflow_stack(experiment: str) -> str:
    """Makes what is missing of this home's Airflow stack, and the MLflow experiment, and selects it for this process.

    Returns its name.
    """
    local = use_local_stack(experiment)
    name = f"{local}-airflow"
    client = Client()
    with locked(workspace().home / "stack.lock"):
        if found := client.list_stacks(name=name, size=1).items:
            stack_id = str(found[0].id)
        else:
            if not client.list_stack_components(name=name, type=Type.ORCHESTRATOR, size=1).items:
                configuration = {"local": True, "operator": _OPERATOR}
                client.create_stack_component(name, "airflow", Type.ORCHESTRATOR, configuration)
            shared = (Type.ARTIFACT_STORE, Type.EXPERIMENT_TRACKER, Type.MODEL_REGISTRY)
            stack_id = str(
                client.create_stack(name, {Type.ORCHESTRATOR: name, **dict.fromkeys(shared, local)}).id
            )
    os.environ["ZENML_ACTIVE_STACK_ID"] = stack_id
    return name
