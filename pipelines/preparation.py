"""What every pipeline begins with: the steps from raw pairs to records, and what lies on the disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entailment.configuration.configuration import Configuration
from entailment.data.sources import is_path
from entailment.home import home
from entailment.input_state import InputState
from steps import ingest, resolve_image_paths, split, write_tfrecords


@dataclass(frozen=True)
class Prepared:
    """Artifacts of the first four steps."""

    source: Any
    image_report: Any
    splits: Any
    split_report: Any
    records: Any


def prepare(
    configuration: Configuration, state: InputState, divide: Callable[[Any], tuple[Any, Any]] | None = None
) -> Prepared:
    """Ingest, resolve images, split, write records; to be called inside a pipeline.

    `divide`, if given, is called with the resolved pairs in place of the step `split` and gives the same two outputs.
    """
    config, inputs, labels = configuration, configuration.inputs, list(configuration.task.labels)
    missing = config.images.missing if inputs != "text" else "mask"
    pairs, source = ingest(config.dataset, config.tweets, config.ingest, config.task, inputs, state.content)
    resolved, image_report = resolve_image_paths(
        pairs,
        source,
        inputs,
        missing,
        config.images.max_pixels,
        config.images.max_decoded_bytes,
        state.images,
    )
    splits, split_report = divide(resolved) if divide else split(resolved, config.split, labels, config.seed)
    records = write_tfrecords(splits, inputs, config.images, config.records, labels, state.images)
    return Prepared(source, image_report, splits, split_report, records)


def with_absolute_paths(configuration: Configuration) -> Configuration:
    """The same words typed in another folder mean another data set: the cache must see which."""
    dataset = configuration.dataset
    update = {"images": str(Path(dataset.images).expanduser().resolve())} if dataset.images else {}
    if is_path(dataset.source, home() / "datasets"):
        update["source"] = str(Path(dataset.source).expanduser().resolve())
    return configuration.model_copy(update={"dataset": dataset.model_copy(update=update)})
