"""From the handle of an encoder in the configuration to a module on disk, and what identifies that module."""

import hashlib
import json
import socket
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from entailment.disks import disk_fault
from entailment.encoders import keras_applications
from entailment.encoders.build import BUILT_IN, build_module, is_built
from entailment.encoders.keras_applications import PREFIX, build_network
from entailment.errors import EncoderError
from entailment.files import locked, sha256_of_folder

GRAPHS: Final = (
    f"graphs-{'-'.join(str(one.graph) for one in BUILT_IN.values())}-{keras_applications.GRAPH_VERSION}"
)
"""Versions of the graphs that are built here; modules of other versions are built anew."""
FORMAT: Final = "float32"
"""The number format that encoders compute in; part of the fingerprint."""
STALLED_SECONDS = 30
"""A connection to a model hub that says nothing for so long is given up."""


def resolve_handle(handle: str, folder: Path) -> Path:
    """The folder of the SavedModel that `handle` names.

    `handle` is a built-in name or a network of Keras (built below `folder` on first use, see `build_network`), a
    local SavedModel folder, or the URL of a TF-Hub or Kaggle module, downloaded once into `<folder>/tfhub` (or
    `$TFHUB_CACHE_DIR`, if set).
    Raises EncoderError when there is no such module or it cannot be fetched, DownloadError when the weights of a
    built-in module cannot be.
    """
    if handle in BUILT_IN:
        return build_module(handle, folder)
    if handle.startswith(PREFIX):
        with _bounded_waiting():
            return build_network(handle, folder)
    if handle.startswith(("http://", "https://")):
        return _downloaded(handle, folder)
    path = Path(handle).expanduser().resolve()
    if not (path / "saved_model.pb").is_file():
        near = get_close_matches(handle, BUILT_IN, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise EncoderError(
            f"encoder handle {handle!r}: expected a built-in name ({', '.join(BUILT_IN)}), a network of Keras "
            f"({PREFIX}NAME or {PREFIX}NAME@FILE), a URL, or a folder with a saved_model.pb, which {path} is not."
            f"{meant}"
        )
    return path


def absolute_handle(handle: str) -> str:
    """The handle as it means the same in every working directory: names and URLs as they are, paths absolute.

    A single word that is nothing here stays too: `resolve_handle` tells which name it may have been meant for.

    >>> absolute_handle("minilm")
    'minilm'
    """
    if handle in BUILT_IN or handle.startswith(("http://", "https://")):
        return handle
    name, at, given = handle.partition("@") if handle.startswith(PREFIX) else ("", "", handle)
    path = Path(given).expanduser()
    is_word = given == path.name and not path.exists()
    return handle if not given or (is_word and not at) else f"{name}{at}{path.absolute()}"


def load_module(path: Path) -> Any:
    """What `hub.load` gives for the SavedModel folder `path`. Raises EncoderError when it cannot be loaded."""
    try:
        import tensorflow_text  # noqa: F401  (registers the operations of text preprocessors)

        module = _hub().load(str(path))
    except Exception as error:  # a damaged SavedModel can fail anywhere inside TensorFlow
        raise EncoderError(
            f"{path}: not a module that TensorFlow can load: {_first_line(error)}. Delete the folder, so that it is "
            "made again, or name another encoder."
        ) from error
    if not callable(module):
        raise EncoderError(f"{path}: not a TensorFlow 2 module (it cannot be called). Name another encoder.")
    return module


def fingerprint(path: Path) -> str:
    """SHA-256 over the names and contents of the module's files: the same module, the same fingerprint."""
    return sha256_of_folder(path)


def module_fingerprints(handles: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The fingerprint of each module by its role, building or downloading below `folder` what is not there yet."""
    return {role: fingerprint(resolve_handle(handle, folder)) for role, handle in handles.items()}


def shared_modules(handles: Collection[str]) -> set[str]:
    """The folders of the modules that are built here from what all have: built-in ones and Keras's own weights."""
    names = {handle for handle in handles if handle in BUILT_IN}
    keras = (
        handle.removeprefix(PREFIX) for handle in handles if handle.startswith(PREFIX) and "@" not in handle
    )
    return names | {f"keras-{name}" for name in keras}


def is_current_module(path: Path) -> bool:
    """Whether the folder is that of a module which this program built, or would build alike."""
    built_in = BUILT_IN.get(path.name)
    version = built_in.graph if built_in else keras_applications.GRAPH_VERSION
    return is_built(path, version)


def device_kind() -> Literal["cpu", "gpu"]:
    """The kind of device that TensorFlow computes on here."""
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def fingerprint_of(**parts: str | int) -> str:
    """SHA-256 over everything that decides what an encoder computes, the kind of device included."""
    # The same operations round differently on another kind of device.
    described = json.dumps({**parts, "format": FORMAT, "device": device_kind()}, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def output_width(path: Path, call: Callable[[], Any]) -> int:
    """The width of the vector [1, width] that `call`, a trial of the module in `path` on one input, gives.

    Raises EncoderError when the module does not take that input or gives something else.
    """
    try:
        shape = tuple(call().shape)
    except Exception as error:  # a foreign module fails on an input of another form in its own way
        raise EncoderError(
            f"{path}: the module cannot be called as an encoder of this kind: {_first_line(error)}. "
            "Check that text, preprocessor and image handles are not mixed up, the sizes, and the output's name."
        ) from error
    if len(shape) != 2 or shape[0] != 1:
        raise EncoderError(
            f"{path}: for one input the module must give [1, width]. Received: {list(shape)}. "
            "Name a module, or an output of it, that gives one vector for each input."
        )
    return int(shape[1])


def _downloaded(url: str, folder: Path) -> Path:
    from absl import flags

    cache = folder / "tfhub"
    try:
        with locked(folder / "tfhub.lock"), _bounded_waiting():
            # We hold our own lock, so one of the library's is left from a killed process: it would wait 10 minutes.
            for stale in cache.glob("*.lock"):
                stale.unlink()
            hub = _hub()
            flags.FLAGS["tfhub_cache_dir"].value = str(cache)  # $TFHUB_CACHE_DIR goes before it
            path = Path(hub.resolve(url))
    except Exception as error:  # network, archive, disk: each has its own kinds of errors
        if disk_fault(error):
            raise
        raise EncoderError(
            f"encoder {url} is not in the cache {cache} and could not be downloaded: {_first_line(error)}. Connect to"
            " the network and run the command again; or download the module elsewhere, unpack it and name its folder"
            " (or a cache of such modules in TFHUB_CACHE_DIR); or use a built-in encoder:"
            f" {', '.join(BUILT_IN)}."
        ) from error
    if not (path / "saved_model.pb").is_file():
        raise EncoderError(
            f"encoder {url}: what was downloaded to {path} is no SavedModel. Delete that folder and check the URL."
        )
    return path


@contextmanager
def _bounded_waiting() -> Iterator[None]:
    """The libraries that download set no time-out on their connections: this one holds for those that set none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALLED_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _hub() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        import tensorflow_hub

    return tensorflow_hub


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
