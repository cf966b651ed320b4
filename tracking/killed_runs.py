"""Runs that a killed process left behind."""

import logging
from collections.abc import Callable, Collection
from typing import Final

from mlflow import MlflowClient
from mlflow.entities import RunStatus

from entailment.metric_names import ACCURACY

_KILLED: Final = RunStatus.to_string(RunStatus.KILLED)
_LOG = logging.getLogger(__name__)


def close_killed_runs(killed: Collection[str], has_ended: Callable[[str], bool]) -> None:
    """Ends the runs in the home's database that no process is logging to any more, as killed.

    `has_ended` says whether the run of a pipeline, named as its MLflow run is, has; a child is as its parent is. Of
    the pipelines' runs that were `killed` also those that look finished, because a step was, and were never judged.
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
            client.set_terminated(run.info.run_id, _KILLED)
    for name in killed:
        wanted = f"attributes.status = 'FINISHED' and attributes.run_name = \"{name}\""
        for run in client.search_runs(experiments, wanted):
            if not {ACCURACY, "test_accuracy"} & run.data.metrics.keys():
                client.set_terminated(run.info.run_id, _KILLED)
