"""Running on a stack that the user registered."""

import os

from zenml.client import Client

from entailment.errors import ConfigurationError
from stacks.tracker import use_stack_s_tracker


def use_named_stack(name: str) -> None:
    """Selects the stack `name` for this process.

    Raises:
        ConfigurationError: there is no such stack, or it has no MLflow experiment tracker.
    """
    found = Client().list_stacks(name=name, size=1).items
    if not found:
        known = ", ".join(sorted(stack.name for stack in Client().list_stacks(size=50).items))
        raise ConfigurationError(f"--stack: there is no ZenML stack '{name}'. There are: {known}.")
    os.environ["ZENML_ACTIVE_STACK_ID"] = str(found[0].id)
    use_stack_s_tracker()
