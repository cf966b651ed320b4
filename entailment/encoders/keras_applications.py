"""Networks of `keras.applications` as modules of the TF-Hub form: handles `keras:NAME` and `keras:NAME@FILE`."""

import hashlib
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.disks import disk_fault
from entailment.encoders.build import built_once, save_module
from entailment.errors import EncoderError
from entailment.files import sha256_of_file

if TYPE_CHECKING:
    import tensorflow as tf

PREFIX: Final = "keras:"
GRAPH_VERSION: Final = 1
"""Raise it with every change of what is written below: modules of another version are built anew."""


def build_network(handle: str, folder: Path) -> Path:
    """The folder of the module that `handle` names, in `<folder>/modules`; built when it is not there.

    `keras:NAME` is a network of `keras.applications` with the ImageNet weights that Keras keeps in its own folder
    and downloads when they are not there (`$KERAS_HOME` or `~/.keras`; commands set it to a folder of the home that
    has the models of `~/.keras`); `keras:NAME@FILE` has the weights of a file
    that `save_weights` wrote for the network without its top. A file of other content gives another module.
    `module.json` says which Keras made it and the sha256 of its weights. Raises EncoderError when there is no such
    network or file, or when its weights cannot be had or do not fit.
    """
    name, _, given = handle.removeprefix(PREFIX).partition("@")
    file = Path(given).expanduser() if given else None
    if file and not file.is_file():
        raise EncoderError(f"encoder {handle}: there is no file {file.absolute()}. Name one after the @.")
    of_file = f"-{sha256_of_file(file)[:16]}" if file else ""
    target = folder / "modules" / f"keras-{name}{of_file}"
    return built_once(target, GRAPH_VERSION, partial(_write, name, file))


def network_module(name: str, weights: Path | str | None = "imagenet") -> tuple["tf.train.Checkpoint", str]:
    """A network of `keras.applications` without its top, averaged over the picture, and the sha256 of its weights.

    Called on float32 [n, height, width, 3], RGB in 0..1, it scales them as the network expects and gives [n, width];
    batch normalisation takes its stored statistics. `weights` is a file, `imagenet` or None (random).
    `layer_variables` are those of each Keras layer that has any. The sha256 is over the values, whatever file they
    came from. Raises EncoderError as `build_network`.
    """
    import tensorflow as tf

    build, scale = _network(name)
    try:
        # Standard output would get the progress of a download; what is warned of here ends in an error as well.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = build(include_top=False, pooling="avg", weights=weights and str(weights))
    except Exception as error:  # network, file, format: each has its own kinds of errors
        if disk_fault(error):
            raise
        raise EncoderError(_why_not(name, weights, error)) from error
    module = tf.train.Checkpoint()
    module.variables = [variable.value for variable in network.variables]
    module.trainable_variables = [variable.value for variable in network.trainable_variables]
    layers = [[v.value for v in layer.trainable_variables] for layer in network.layers]
    module.layer_variables = [layer for layer in layers if layer]
    module.__call__ = tf.function(
        lambda images: network(scale(images * 255), training=False),
        input_signature=[tf.TensorSpec(network.input_shape, tf.float32, name="images")],
        autograph=False,
    )
    digest = hashlib.sha256()
    for values in network.get_weights():
        digest.update(values.tobytes())
    return module, digest.hexdigest()


def _write(name: str, file: Path | None, aside: Path) -> None:
    import keras

    module, sha256 = network_module(name, file or "imagenet")
    described = {
        "name": name,
        "project": "keras",
        "version": keras.__version__,
        "licence": "of the weights: see https://keras.io/api/applications",
        "weights": "file" if file else "imagenet",
        "weights_sha256": sha256,
    }
    save_module(module, aside, GRAPH_VERSION, described)


def _network(name: str) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    """What makes a network, and what scales pixels in 0..255 for it."""
    from keras import applications

    networks = {name: value for name, value in vars(applications).items() if callable(value)}
    if name not in networks:
        nearest = get_close_matches(name, networks, n=1, cutoff=0)[0]
        raise EncoderError(
            f"encoder {PREFIX}{name}: keras.applications has no such network. Did you mean {PREFIX}{nearest}? "
            "https://keras.io/api/applications lists them."
        )
    build = networks[name]
    return build, import_module(build.__module__).preprocess_input


def _why_not(name: str, weights: Path | str | None, error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(weights, Path):
        return (
            f"encoder {PREFIX}{name}@{weights}: the file does not hold weights of this network: {said}. Give one "
            f"that save_weights wrote for keras.applications.{name}(include_top=False)."
        )
    kept = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
    return (
        f"encoder {PREFIX}{name}: its ImageNet weights are not in Keras's folder {kept} and could not be downloaded:"
        f" {said}. Connect to the network and run the command again; or download that file elsewhere and put it into"
        f" the folder, or name it: {PREFIX}{name}@FILE."
    )
