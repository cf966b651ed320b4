"""What every pipeline begins with: the steps from what is there to features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from zenml.enums import ExecutionMode

from entailment.configuration.configuration import Configuration
from entailment.data.sources import is_path
from entailment.data.versions import fetch_versions
from entailment.encoders.handles import absolute_handle
from entailment.task import KINDS, kinds_of
from entailment.trials.variants import Variant
from entailment.workspace import workspace
from stacks.killed_runs import noted_process
from stacks.run_hooks import begin_run, end_run
from steps import encode, ingest, look, resolve_image_paths, split, write_tfrecords

RUN: Final = {
    "on_init": begin_run,
    "on_cleanup": end_run,
    "execution_mode": ExecutionMode.FAIL_FAST,
    "extra": noted_process(),
}
"""How every pipeline of ours is run."""


@dataclass(frozen=True)
class Prepared:
    """Artifacts of the first six steps."""

    source: Any
    pairs: Any
    """As they came, before the images were looked for."""
    image_report: Any
    examples: Any
    splits: Any
    split_report: Any
    records: Any
    features: Any
    encoders: Any
    """Fingerprints."""
    champion: Any


def with_absolute_paths(configuration: Configuration) -> Configuration:
    """The configuration with absolute paths of data, images and encoders, so that it means the same in every folder.

    Fetches the versions of the data set first, which tells a name from a path. Links are not followed: a schedule
    reads what they show to when it runs.
    """
    places, dataset, encoders = workspace(), configuration.dataset, configuration.encoders
    paths = {"images": dataset.images}
    fetch_versions(places.shared, places.datasets, dataset.source)
    if is_path(dataset.source, places.datasets):
        paths["source"] = dataset.source
    absolute = {key: str(Path(path).expanduser().absolute()) for key, path in paths.items() if path}
    handles = {kind: {"encoder": getattr(encoders, kind).encoder} for kind in KINDS}
    handles["text"]["preprocessor"] = encoders.text.preprocessor
    update = {
        "dataset": dataset.model_copy(update=absolute),
        "encoders": encoders.with_each(
            {
                kind: {role: handle and absolute_handle(handle) for role, handle in of_kind.items()}
                for kind, of_kind in handles.items()
            }
        ),
    }
    return configuration.model_copy(update=update)


def prepare(
    config: Configuration,
    divide: Callable[[Any], tuple[Any, Any]] | None = None,
    *,
    only_new: bool = False,
    variants: Sequence[Variant] = (),
) -> Prepared:
    """Look, ingest, resolve images, split, write records, encode; to be called inside a pipeline.

    `divide`, if given, is called with the resolved pairs in place of the step `split` and gives the same two outputs.
    With `only_new` the run ends at once when a version was trained on just what there is. The run in ZenML gets
    tags: the data set, and every input and loss of `variants`, or those of `config` where there are none.
    """
    tried = variants or [Variant(config.inputs, config.training.loss)]
    tags = dict.fromkeys(f"inputs:{variant.inputs}" for variant in tried)
    tags |= dict.fromkeys(f"loss:{variant.loss}" for variant in tried)
    model, labels = config.of_model(), list(config.task.labels)
    missing = config.images.missing if "image" in kinds_of(config.inputs) else "mask"
    found, images, encoders, champion = look(model, only_new, list(tags))
    pairs, source = ingest(found, config.ingest, config.task.of_rows(), config.inputs)
    resolved, image_report, examples = resolve_image_paths(
        pairs,
        source,
        config.inputs,
        missing,
        config.images.max_pixels,
        config.images.max_decoded_bytes,
        images,
    )
    splits, split_report = divide(resolved) if divide else split(resolved, config.split, labels, config.seed)
    records = write_tfrecords(splits, model.of_records(), images)
    features = encode(records, model.of_features(), encoders)
    return Prepared(
        source, pairs, image_report, examples, splits, split_report, records, features, encoders, champion
    )
