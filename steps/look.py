"""The first step of every pipeline: what is there now; never cached, everything after it is, by what it found."""

from dataclasses import asdict
from typing import Annotated, Any, Final

from zenml import add_tags, get_step_context, step
from zenml.client import Client

from entailment.configuration.model import ModelConfiguration
from entailment.data.image_paths import folder_fingerprint
from entailment.data.sources import current_content, locate
from entailment.data.versions import fetch_versions
from entailment.encoders.handles import GRAPHS, is_current_module, module_fingerprints, shared_modules
from entailment.errors import NothingNewError
from entailment.files import sha256_of_file
from entailment.inputs import column_rules
from entailment.task import kinds_of
from entailment.workspace import Workspace, workspace
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, never
from tracking.experiment import ensure_experiment
from tracking.registry import champion_version, version_trained_on

_TAG: Final = 255
"""Characters that a tag of ZenML holds."""


@step(
    output_materializers={name: ReportMaterializer for name in ("found", "images", "encoders")},
    cache_policy=cached_by(never),
)
def look(
    configuration: ModelConfiguration, only_new: bool, tags: list[str]
) -> tuple[
    Annotated[dict[str, Any], "found"],
    Annotated[dict[str, Any], "images"],
    Annotated[dict[str, Any], "encoders"],
    Annotated[str, "champion"],
]:
    """Gives where the data set lies, its file's hash and what further columns must hold; a fingerprint of its images,
    those of the encoders, and the champion. Generates, downloads or builds what is not there yet.

    Gives the run `tags` in ZenML, and one for the data set.

    With `only_new` raises NothingNewError when a version was trained on just these data.
    """
    places = workspace()
    # Not a tracked step: where there is nothing new, there shall be no run in MLflow.
    Client().active_stack.experiment_tracker.configure_mlflow()
    config, model = configuration, configuration.task.name
    ensure_experiment(model)
    fetch_versions(places.shared, places.datasets, config.dataset.source)
    with_images = "image" in kinds_of(config.inputs)
    source = locate(config.dataset, config.tweets, places.datasets, with_images=with_images)
    if only_new:
        check_for_new_data(config, places)
    named = f"dataset:{source.name}"[:_TAG]
    add_tags(tags=[named, *tags], run=get_step_context().pipeline_run.id)
    found = asdict(source) | {"csv": str(source.csv), "sha256": sha256_of_file(source.csv)}
    found["images"] = str(source.images) if source.images else None
    images = {"fingerprint": folder_fingerprint(source.images) if source.images and with_images else ""}
    found["further"] = column_rules()
    handles = config.encoders.handles(config.inputs)
    with places.sharing_encoders(shared_modules(handles.values()), GRAPHS, is_current_module):
        encoders = module_fingerprints(handles, places.encoders)
    return found, images, encoders, champion_version(model)


def check_for_new_data(config: ModelConfiguration, places: Workspace) -> None:
    """Raises NothingNewError when the champion or a retraining's version was trained on just what there is now."""
    remembered = places.image_hashes if "image" in kinds_of(config.inputs) else None
    rows, images = current_content(config, places.datasets, column_rules(), remembered)
    if version := version_trained_on(config.task.name, rows, images):
        raise NothingNewError(
            f"Nothing new in {config.dataset.source} since version {version} was trained: no retraining."
            " (--no-cache retrains.)"
        )
