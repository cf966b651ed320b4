"""Pointing MLflow at the active stack's server."""

from zenml.client import Client
from zenml.integrations.mlflow.experiment_trackers import MLFlowExperimentTracker

from entailment.errors import ConfigurationError


def use_stack_s_tracker() -> None:
    """Makes MLflow in this process use the active stack's tracker; ZenML undoes that after each step.

    ZenML's tracker then leaves autologging alone: no step turns it on, and turning it off after each step imports
    every framework that MLflow knows.

    Raises:
        ConfigurationError: the stack has no MLflow experiment tracker.
    """
    stack = Client().active_stack
    if not isinstance(stack.experiment_tracker, MLFlowExperimentTracker):
        raise ConfigurationError(
            f"--stack: the ZenML stack '{stack.name}' has no MLflow experiment tracker, which training logs to."
            f" Add one: zenml stack update {stack.name} -e NAME."
        )
    MLFlowExperimentTracker.disable_autologging = lambda self: None
    stack.experiment_tracker.configure_mlflow()
