"""The MLflow experiment and where it lies."""

from entailment.files import locked
from entailment.workspace import workspace
from tracking.database import is_of_another_version, make, upgrade, wait_for_locked_databases


def tracking_uri() -> str:
    """The URI of the MLflow database in the home."""
    return f"sqlite:///{workspace().home / 'mlflow.db'}"


def prepare_experiment(name: str) -> None:
    """Makes MLflow use the home's database, created when absent, with the experiment `name` in it."""
    import mlflow

    wait_for_locked_databases()
    mlflow.set_tracking_uri(tracking_uri())
    ensure_experiment(name)


def ensure_experiment(name: str) -> None:
    """Creates the experiment `name` when it is absent; in the home's database with its artifacts beside that.

    An experiment that was deleted in the UI is restored: MLflow refuses to log to it or to make it anew. The home's
    database is upgraded where an older MLflow wrote it. Raises RegistryError where a newer one did.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    home = workspace().home
    ours = mlflow.get_tracking_uri() == tracking_uri()
    with locked(home / "experiment.lock"):
        if ours:
            make(home / "mlflow.db")
        location = (home / "mlartifacts").as_uri() if ours else None
        try:
            experiment = mlflow.get_experiment_by_name(name)
        except MlflowException as error:
            if not ours or not is_of_another_version(error):
                raise
            upgrade(home / "mlflow.db")
            experiment = mlflow.get_experiment_by_name(name)
        if experiment is None:
            mlflow.create_experiment(name, artifact_location=location)
        elif experiment.lifecycle_stage == "deleted":
            mlflow.MlflowClient().restore_experiment(experiment.experiment_id)


def tracker_settings(name: str) -> dict[str, dict[str, str]]:
    """What a step that logs to the experiment `name` tells ZenML's experiment tracker."""
    return {"experiment_tracker": {"experiment_name": name}}
