"""ZenML's MLflow experiment tracker without its slow clean-up."""

from zenml.integrations.mlflow.experiment_trackers import MLFlowExperimentTracker
from zenml.integrations.mlflow.flavors import MLFlowExperimentTrackerFlavor


class QuickMLflowTracker(MLFlowExperimentTracker):
    """The MLflow tracker for steps that log by themselves."""

    def disable_autologging(self) -> None:
        """Does nothing: no step turns autologging on, and turning it off imports every framework MLflow knows."""


class QuickMLflowTrackerFlavor(MLFlowExperimentTrackerFlavor):
    """The flavor `entailment_mlflow`."""

    @property
    def name(self) -> str:
        """The flavor's name."""
        return "entailment_mlflow"

    @property
    def implementation_class(self) -> type[QuickMLflowTracker]:
        """The tracker."""
        return QuickMLflowTracker
