"""Encoders that are trained, in part or whole: modules of the TF-Hub form, from the kept weights to tuned ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.encoders import Trainable
from entailment.encoders.build import LITE_FILE, lite_network
from entailment.encoders.handles import load_module, resolve_handle
from entailment.errors import EncoderError
from entailment.files import read_json, write_json, written_aside

if TYPE_CHECKING:
    import tensorflow as tf

DESCRIPTION: Final = "module.json"
TUNED: Final = "tuned"
"""Key of a description: how much of the module was trained since it was taken, `all` or the last N layers."""


class TrainableEncoder:
    """An encoder module and its variables that are trained.

    `module` is what `hub.load` gives, `variables` are those of its last layers, or all, `any_length` whether it takes
    token ids of any length.
    """

    def __init__(self, key: str, handle: str, folder: Path, trainable: Trainable) -> None:
        """Finds (or builds, or downloads) and loads the module.

        `key` is the key of the configuration that asks for it, `handle` and `folder` are as in `resolve_handle`,
        `trainable` is how many of the last layers are trained, or `all`. Raises EncoderError when the module cannot
        be found or loaded, or when it does not say which of its variables these are.
        """
        self._path = resolve_handle(handle, folder)
        self._trainable = trainable
        self._described = _description(self._path)
        self.module = load_module(self._path)
        self.any_length = bool(self._described.get("any_length"))
        self.variables = _variables(self.module, key, handle, trainable)

    def save(self, folder: Path) -> Path:
        """Writes the module as it is now, its description, and its TensorFlow Lite file if it came with one."""
        import tensorflow as tf

        with written_aside(folder) as aside:
            tf.saved_model.save(self.module, str(aside))
            # It holds a random number: without it equal weights give equal files.
            (aside / "fingerprint.pb").unlink(missing_ok=True)
            if (self._path / LITE_FILE).is_file():
                (aside / LITE_FILE).write_bytes(lite_network(self.module))
            write_json(aside / DESCRIPTION, self._described | {TUNED: self._trainable})
        return folder


def _description(path: Path) -> dict[str, Any]:
    described = path / DESCRIPTION
    return dict(read_json(described)) if described.is_file() else {}


def _variables(module: Any, key: str, handle: str, trainable: Trainable) -> "list[tf.Variable]":
    everything = list(getattr(module, "trainable_variables", ()))
    if not everything:
        raise EncoderError(
            f"{key}: the module {handle} cannot be trained: it has no `trainable_variables`, the attribute of "
            f"TF-Hub's reusable SavedModels. Set {key} to 0 or name another encoder."
        )
    if trainable == "all":
        return everything
    layers = getattr(module, "layer_variables", None)
    if layers is None:
        raise EncoderError(
            f"{key}: the module {handle} does not say what its layers are: expected an attribute `layer_variables`, "
            f"the variables of each layer, as the built-in ones have. Set {key} to all or 0."
        )
    if trainable > len(layers):
        raise EncoderError(
            f"{key} must be at most {len(layers)}, the layers of {handle}, or all. Received: {trainable}."
        )
    return [variable for layer in layers[-trainable:] for variable in layer]
