"""What every pipeline begins with: the state of the disk, and the steps from raw pairs to records."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entailment.configuration import Configuration
from entailment.data.image_paths import folder_fingerprint
from entailment.data.sources import is_path, locate
from entailment.encoders.handles import module_fingerprints
from entailment.files import sha256_of_file
from entailment.home import home
from steps import ingest, resolve_image_paths, split, write_tfrecords


@dataclass(frozen=True)
class InputState:
    """What lies on the disk now: a cached step holds only while this is the same."""

    content: str
    """SHA-256 of the CSV file."""
    images: str
    """Over name, size and time of change of every image; "" where none are used."""
    encoders: dict[str, str]
    """Fingerprint of each encoder in use."""
    preprocessor: str
    """That of the text's preprocessor alone; "" where no text is used."""


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
    config, inputs = configuration, configuration.inputs
    missing = config.images.missing if inputs != "text" else "mask"
    pairs, source = ingest(config.dataset, config.tweets, config.ingest, inputs, state.content)
    resolved, image_report = resolve_image_paths(
        pairs, source, inputs, missing, config.images.max_pixels, state.images
    )
    splits, split_report = divide(resolved) if divide else split(resolved, config.split, config.seed)
    records = write_tfrecords(
        splits,
        inputs,
        config.images,
        config.records,
        config.encoders.text.preprocessor,
        config.encoders.text.sequence_length,
        state.images,
        state.preprocessor,
    )
    return Prepared(source, image_report, splits, split_report, records)


def with_absolute_paths(configuration: Configuration) -> Configuration:
    """The same words typed in another folder mean another data set: the cache must see which."""
    dataset = configuration.dataset
    update = {"images": str(Path(dataset.images).expanduser().resolve())} if dataset.images else {}
    if is_path(dataset.source, home() / "datasets"):
        update["source"] = str(Path(dataset.source).expanduser().resolve())
    return configuration.model_copy(update={"dataset": dataset.model_copy(update=update)})


def input_state(configuration: Configuration) -> InputState:
    """Looks at the data set and the encoders, generating, downloading or building what is not there yet."""
    with_images = configuration.inputs != "text"
    source = locate(configuration.dataset, configuration.tweets, home() / "datasets", with_images=with_images)
    images = folder_fingerprint(source.images) if with_images else ""
    encoders = module_fingerprints(configuration.encoders.handles(configuration.inputs), home() / "encoders")
    return InputState(sha256_of_file(source.csv), images, encoders, encoders.get("preprocessor", ""))
