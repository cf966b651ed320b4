"""Where pairs come from: the generated sample, the real tweets, a data set of our own, or a CSV file."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entailment.configuration.dataset import Dataset, Tweets
from entailment.configuration.model import ModelConfiguration
from entailment.data.image_hashes import images_hash
from entailment.data.image_paths import check_folder
from entailment.data.pairs import ColumnRule, read_pairs, rows_hash
from entailment.data.versions import dataset_names, find_version
from entailment.errors import ConfigurationError, DataError
from entailment.files import locked

SAMPLE: Final = "sample"
TWEETS: Final = "tweets"


@dataclass(frozen=True)
class Source:
    """A data set on this machine."""

    name: str
    """`sample`, `tweets`, the name of a data set of our own, or the file's name."""
    csv: Path
    images: Path | None
    """The folder of images, None where the data set has none."""
    generated: bool
    """Whether the pairs were made up by this project."""
    version: int | None = None
    """Of a data set of our own."""


def locate(dataset: Dataset, tweets: Tweets, folder: Path, *, with_images: bool = True) -> Source:
    """Finds the data set, generating the sample or downloading the tweets below `folder` when they are not there.

    A data set of our own goes before a file of the same name (which `./NAME` is). Without `with_images` no image is
    downloaded or looked for.

    Raises:
        ConfigurationError: a folder of images is named for a data set that has its own.
        DataError: the data set, the CSV file or its folder of images is not there.
        DownloadError: the tweets cannot be downloaded.
    """
    own = find_version(folder, dataset.source)
    if (own or dataset.source in (SAMPLE, TWEETS)) and dataset.images:
        raise ConfigurationError(
            f"--images {dataset.images}: the data set '{dataset.source}' has its own images. Use --images with"
            " --dataset FILE.csv."
        )
    if dataset.source == SAMPLE:
        return _sample(folder, dataset.sample_pairs)
    if dataset.source == TWEETS:
        return _tweets(folder / TWEETS, tweets, with_images)
    if own:
        return Source(own.name, own.csv, own.images, generated=False, version=own.number)
    csv = Path(dataset.source).expanduser().resolve()
    if not dataset.source.strip() or not csv.is_file():
        raise _no_source(dataset.source, csv, [SAMPLE, TWEETS, *dataset_names(folder)])
    images = Path(dataset.images).expanduser().resolve() if dataset.images else None
    if images and with_images:
        check_folder(images)
    return Source(csv.name, csv, images, generated=False)


def current_content(
    config: ModelConfiguration, folder: Path, further: Mapping[str, ColumnRule], remembered: Path | None
) -> tuple[str, str]:
    """The `rows_hash` of the pairs that the data set holds now, and the `images_hash` of their images.

    The latter is "" where there are none, and without `remembered`: then images do not matter. Raises as `locate`,
    `read_pairs` and `images_hash` do.
    """
    limit = config.ingest.max_text_bytes
    source = locate(config.dataset, config.tweets, folder, with_images=remembered is not None)
    pairs = read_pairs(source.csv, config.task, max_text_bytes=limit, inputs=config.inputs, further=further)
    images = images_hash(pairs, source.images, remembered) if source.images and remembered else ""
    return rows_hash(pairs), images


def is_path(source: str, folder: Path) -> bool:
    """Whether a data set's source is the path of a file, not the name of a data set."""
    return source not in (SAMPLE, TWEETS) and find_version(folder, source) is None


def _no_source(source: str, csv: Path, known: list[str]) -> DataError:
    """What is said of a source that is neither a CSV file nor one of the `known` data sets."""
    if not source.strip():
        what = "The name of the data set is empty."
    elif csv.is_dir():
        what = f"{csv} is a folder, not a table of pairs."
    else:
        what = f"There is no file {csv}, and no data set of that name."
        by_name = {name.lower(): name for name in known}
        # A name was made a path before it came here.
        name = Path(source).name.partition("@")[0].lower()
        if near := difflib.get_close_matches(name, by_name, n=1):
            what += f" Did you mean '{by_name[near[0]]}'?"
    return DataError(f"{what} --dataset must be one of {', '.join(known)}, or the path of a CSV file.")


def _sample(parent: Path, pairs: int) -> Source:
    from entailment.data.sample import GENERATOR_VERSION, write_sample

    folder = parent / f"sample-{pairs}-v{GENERATOR_VERSION}"
    with locked(folder.with_suffix(".lock")):
        if not (folder / "pairs.csv").is_file():
            write_sample(folder, pairs=pairs)
    return Source(SAMPLE, folder / "pairs.csv", folder / "images", generated=True)


def _tweets(folder: Path, tweets: Tweets, with_images: bool) -> Source:
    from entailment.data.tweets import download_tweets

    download_tweets(folder, tweets, with_images=with_images)
    return Source(TWEETS, folder / "tweets.csv", folder / "images", generated=False)
