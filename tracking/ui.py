"""MLflow's pages: their addresses, and the server that shows them."""

import json
import os
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from mlflow import MlflowClient

from entailment.errors import RegistryError
from entailment.workspace import workspace
from tracking.experiment import tracking_uri
from tracking.stored_files import found_or_none

COMPARISON_PAGE: Final = "comparison.html"
CROSS_VALIDATION_PAGE: Final = "crossval.html"
"""Files of parent runs that show their variants or folds side by side."""
_MODEL_TRAINING: Final = "workflowType=machine_learning"
"""Without it MLflow shows the pages for language models, of traces and prompts."""


def page_of_runs(experiment: str) -> str:
    """The path of the page that lists the runs of an experiment, which is there."""
    found = MlflowClient().get_experiment_by_name(experiment)
    return f"/#/experiments/{found.experiment_id}/runs?{_MODEL_TRAINING}"


def page_of(run_id: str) -> str:
    """The path of a run's page; of a run with children, the page that shows these side by side.

    Raises RegistryError when there is no such run.
    """
    client = MlflowClient()
    run = found_or_none(client.get_run, run_id)
    if run is None:
        raise RegistryError(
            f"There is no run {run_id} in {workspace().home}. Without --run the page shows all that there are."
        )
    experiment = run.info.experiment_id
    page = f"/#/experiments/{experiment}/runs/{run_id}"
    for item in client.list_artifacts(run_id):
        if item.path in (COMPARISON_PAGE, CROSS_VALIDATION_PAGE):
            return f"{page}/artifacts/{item.path}?{_MODEL_TRAINING}"
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'", max_results=100)
    if not children:
        return f"{page}?{_MODEL_TRAINING}"
    runs = quote(json.dumps([child.info.run_id for child in children]))
    experiments = quote(json.dumps([experiment]))
    return f"/#/compare-runs?runs={runs}&experiments={experiments}&{_MODEL_TRAINING}"


def serve(port: int, when_it_answers: Callable[[], None]) -> None:
    """Serves MLflow on this home on 127.0.0.1, in this process and no other, until SIGINT or SIGTERM ends it.

    Raises KeyboardInterrupt then. `mlflow ui` starts eleven processes, most of them for jobs that no run here has;
    they are told the stores by the same variables.
    """
    import uvicorn
    from mlflow.server import constants

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: tracking_uri(),
        constants.REGISTRY_STORE_URI_ENV_VAR: tracking_uri(),
        constants.ARTIFACT_ROOT_ENV_VAR: (workspace().home / "mlartifacts").as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)
            when_it_answers()

    # A browser keeps its connections open.
    app, told = "mlflow.server.fastapi_app:app", {"log_level": "warning", "timeout_graceful_shutdown": 2}
    Server(uvicorn.Config(app, host="127.0.0.1", port=port, **told)).run()
