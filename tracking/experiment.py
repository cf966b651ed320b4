"""The MLflow experiment and where it lies."""

from typing import Final

from entailment.files import locked
from entailment.home import home

EXPERIMENT: Final = "multimodal-entailment"
REGISTERED_MODEL: Final = "multimodal-entailment"


def tracking_uri() -> str:
    """The URI of the MLflow database in the home."""
    return f"sqlite:///{home() / 'mlflow.db'}"


def prepare_experiment() -> None:
    """Creates the home's MLflow database and the experiment in it, with its artifacts beside, when absent.

    An experiment that was deleted in the UI is restored: MLflow refuses to log to it or to make it anew.
    """
    import mlflow

    with locked(home() / "experiment.lock"):
        mlflow.set_tracking_uri(tracking_uri())
        experiment = mlflow.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(home() / "mlartifacts").as_uri())
        elif experiment.lifecycle_stage == "deleted":
            mlflow.MlflowClient().restore_experiment(experiment.experiment_id)


TRACKER_SETTINGS: Final = {"experiment_tracker": {"experiment_name": EXPERIMENT}}
"""What a step that logs tells ZenML's experiment tracker."""


def ui_command(port: int) -> list[str]:
    """The command that serves the MLflow UI on this home, with this interpreter, on 127.0.0.1."""
    import sys

    store = [
        "--backend-store-uri",
        tracking_uri(),
        "--default-artifact-root",
        (home() / "mlartifacts").as_uri(),
    ]
    return [sys.executable, "-m", "mlflow", "ui", *store, "--host", "127.0.0.1", "--port", str(port)]
