"""Runs that a killed process left behind."""

import logging
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import RunStatus

_STARTED_BY_US: Final = ("zenml", "mlflow.parentRunId")
"""Tags of the runs that our steps begin: ZenML's tracker sets the first, a child run has the second."""
_LOG = logging.getLogger(__name__)


def close_killed_runs() -> list[str]:
    """Ends the runs in the home's database that no step is logging to any more, as killed; gives their names.

    To be called while the home is held and before a run is begun: a run is RUNNING only within a step, and every step
    holds the home.
    """
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    if not experiments:
        return []
    closed = []
    for run in client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000):
        if any(tag in run.data.tags for tag in _STARTED_BY_US):
            _LOG.warning(
                "The MLflow run %s was killed while it was going: it is ended as such.", run.info.run_name
            )
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
            closed.append(str(run.info.run_name))
    return closed
