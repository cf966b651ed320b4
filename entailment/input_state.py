"""What lies on the disk before a run: data set, images and encoders, as fingerprints."""

from dataclasses import dataclass

from entailment.configuration.configuration import Configuration
from entailment.data.image_paths import folder_fingerprint
from entailment.data.sources import locate
from entailment.encoders.handles import module_fingerprints
from entailment.files import sha256_of_file
from entailment.home import home


@dataclass(frozen=True)
class InputState:
    """What lies on the disk now: a cached step holds only while this is the same."""

    content: str
    """SHA-256 of the CSV file."""
    images: str
    """Over name, size and time of change of every image; "" where none are used."""
    encoders: dict[str, str]
    """Fingerprint of each encoder in use."""


def input_state(configuration: Configuration) -> InputState:
    """Looks at the data set and the encoders, generating, downloading or building what is not there yet."""
    with_images = configuration.inputs != "text"
    source = locate(configuration.dataset, configuration.tweets, home() / "datasets", with_images=with_images)
    images = folder_fingerprint(source.images) if with_images else ""
    encoders = module_fingerprints(configuration.encoders.handles(configuration.inputs), home() / "encoders")
    return InputState(sha256_of_file(source.csv), images, encoders)
