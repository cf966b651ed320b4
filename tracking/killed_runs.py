"""Runs that a killed process left behind."""

import logging
from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.entities import RunStatus

_LOG = logging.getLogger(__name__)


def close_killed_runs(has_ended: Callable[[str], bool]) -> None:
    """Ends the runs in the home's database that no process is logging to any more, as killed.

    `has_ended` says whether the run of a pipeline, named as its MLflow run is, has; a child is as its parent is.
    """
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    if not experiments:
        return
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000):
        parent = run.data.tags.get("mlflow.parentRunId")
        name = client.get_run(parent).info.run_name if parent else run.info.run_name
        if has_ended(str(name)):
            _LOG.warning(
                "The MLflow run %s was killed while it was going: it is ended as such.", run.info.run_name
            )
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
