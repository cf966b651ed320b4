"""ZenML's MLflow tracker and registry, the tracker without its slow clean-up."""

from typing import Final

from zenml.integrations.mlflow.experiment_trackers import MLFlowExperimentTracker
from zenml.integrations.mlflow.flavors import MLFlowExperimentTrackerFlavor, MLFlowModelRegistryFlavor
from zenml.integrations.mlflow.model_registries import MLFlowModelRegistry

FLAVOR: Final = "entailment_mlflow"


class QuickMLflowTracker(MLFlowExperimentTracker):
    """The MLflow tracker for steps that log by themselves."""

    def disable_autologging(self) -> None:
        """Does nothing: no step turns autologging on, and turning it off imports every framework known."""


class QuickMLflowTrackerFlavor(MLFlowExperimentTrackerFlavor):
    """The flavor of the tracker."""

    @property
    def name(self) -> str:
        """The flavor's name."""
        return FLAVOR

    @property
    def implementation_class(self) -> type[QuickMLflowTracker]:
        """The tracker."""
        return QuickMLflowTracker


class TolerantMLflowRegistry(MLFlowModelRegistry):
    """The MLflow registry beside our tracker: ZenML's own accepts a tracker of its own flavor only."""

    @property
    def validator(self) -> None:
        """Nothing to check: the stack is made with the right tracker."""


class TolerantMLflowRegistryFlavor(MLFlowModelRegistryFlavor):
    """The flavor of the registry."""

    @property
    def name(self) -> str:
        """The flavor's name."""
        return FLAVOR

    @property
    def implementation_class(self) -> type[TolerantMLflowRegistry]:
        """The registry."""
        return TolerantMLflowRegistry
