"""Running on a stack that the user registered."""

import os

from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration

from entailment.errors import ConfigurationError
from stacks.tracker import use_stack_s_tracker
from stacks.zenml_database import zenml_client


def use_named_stack(name: str) -> None:
    """Selects the stack `name` for this process.

    Raises:
        ConfigurationError: there is no such stack, or it has no MLflow experiment tracker.
    """
    found = zenml_client().list_stacks(name=name, size=1).items
    if not found:
        known = ", ".join(sorted(stack.name for stack in Client().list_stacks(size=50).items))
        folder = GlobalConfiguration().config_directory
        raise ConfigurationError(
            f"--stack: there is no ZenML stack '{name}' in {folder}. There are: {known}. For a stack in another ZenML"
            " folder set ZENML_CONFIG_PATH to it (yours is ~/.config/zenml unless you moved it)."
        )
    os.environ["ZENML_ACTIVE_STACK_ID"] = str(found[0].id)
    use_stack_s_tracker()
