"""The first step of a retraining: whether there is anything new, looked up when the step runs."""

from typing import Annotated

from zenml import step
from zenml.client import Client

from entailment.configuration.configuration import Configuration
from entailment.data.sources import current_content
from entailment.encoders.handles import module_fingerprints
from entailment.errors import NothingNewError
from entailment.home import home
from materializers.report import ReportMaterializer
from tracking.registry import champion_version, version_trained_on


@step(output_materializers={"encoder_state": ReportMaterializer}, enable_cache=False)
def find_new_data(
    configuration: Configuration, force: bool
) -> tuple[Annotated[str, "content"], Annotated[str, "champion"], Annotated[dict[str, str], "encoder_state"]]:
    """Gives the data's hash, the champion to be beaten and the encoders' fingerprints.

    Raises NothingNewError when a version was trained on just these data, unless `force`.
    """
    # Not a tracked step: where there is nothing new, there shall be no run in MLflow.
    Client().active_stack.experiment_tracker.configure_mlflow()
    content = current_content(
        configuration.dataset,
        configuration.tweets,
        configuration.ingest,
        configuration.task,
        home() / "datasets",
    )
    if not force and (version := version_trained_on(configuration.task.name, content)):
        raise NothingNewError(nothing_new(configuration.dataset.source, version))
    handles = configuration.encoders.handles(configuration.inputs)
    return (
        content,
        champion_version(configuration.task.name),
        module_fingerprints(handles, home() / "encoders"),
    )


def nothing_new(dataset: str, version: str) -> str:
    """What is said when `version` was trained on what the data set holds."""
    return (
        f"Nothing new in {dataset} since version {version} was trained: no retraining. (--no-cache retrains.)"
    )
