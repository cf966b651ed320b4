"""Images to vectors: an image encoder, a module of the TF-Hub form."""

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import numpy as np

from entailment.configuration import Precision
from entailment.encoders.build import LITE_FILE
from entailment.encoders.handles import (
    fingerprint,
    fingerprint_of,
    load_module,
    output_shape,
    resolve_handle,
)
from entailment.encoders.precision import Format, computing_in, device_kind, format_of
from entailment.errors import EncoderError

FEATURE_MAP: Final = "feature_map"
"""The function of a module that gives what it averages over the picture, float32 [n, height, width, channels]."""
LITE_BATCH: Final = 4
LITE_THREADS: Final = 8
"""At most: each has the packed weights to itself, 40 MB."""
BATCH: Final = 32
IN_FLIGHT: Final = 2
"""Batches that TensorFlow is given at a time: one fills the gaps of the other."""
METHODS: Final = {
    "lite": f"image 2: float32 in 0..1, XNNPACK, {LITE_BATCH} images a call, the rest one by one",
    "module": f"image 2: float32 in 0..1, TensorFlow, {BATCH} images a batch",
}
"""How images are brought to the network; part of the fingerprint, because it decides the last bits of a vector.

`lite` is for float32 on processors, where the module brings a TensorFlow Lite file: XNNPACK, a thread for each
core, every call on one of them. Measured on 2 busy cores, images/s: 588 so, 400 through TensorFlow, whose threads
wait for each other in each of 50 operations. A vector is the same to the last bit whatever else is in the batch.
"""


class ImageEncoder:
    """Frozen image encoder.

    `handle` names the module (see `resolve_handle`), `folder` is where built and downloaded modules are kept, `size`
    is the side of the images in pixels, `precision` the number format (see `format_of`). With `sequences` an image is
    not one vector but one for each place of the module's last map. `shape` is that of what an image becomes, [width]
    or [places, channels], `width` how many numbers it holds; `fingerprint` changes whenever they could. Raises
    EncoderError when the module cannot be found, loaded or called, ConfigurationError when this machine cannot
    compute in `precision`.
    """

    def __init__(
        self,
        handle: str,
        folder: Path,
        size: int = 128,
        precision: Precision = "auto",
        *,
        sequences: bool = False,
    ) -> None:
        """Finds (or builds, or downloads) and loads the module, and tries it on a black image."""
        self.handle = handle
        self.size = size
        self._format = format_of(precision)
        path = resolve_handle(handle, folder)
        lite = self._format == "float32" and device_kind() == "cpu" and (path / LITE_FILE).is_file()
        lite = lite and not sequences
        self._network: Callable[[np.ndarray], np.ndarray]
        if lite:
            self._network, self._batch = _LiteNetwork(path / LITE_FILE, size), LITE_BATCH
            self._threads = min(_cores(), LITE_THREADS)
        else:
            self._network, self._batch = _module_network(path, self._format, sequences), BATCH
            self._threads = IN_FLIGHT
        black = np.zeros((1, size, size, 3), np.float32)
        self.shape = output_shape(path, lambda: self._network(black), sequence=sequences)
        self.width = prod(self.shape)
        self.fingerprint = fingerprint_of(
            image=fingerprint(path),
            size=size,
            method=METHODS["lite" if lite else "module"] + (", the last map" if sequences else ""),
            format=self._format,
        )

    def encode(self, images: np.ndarray, progress: bool = False) -> np.ndarray:
        """The vector of each image, float32 [n, *shape]; `images` are uint8 RGB [n, size, size, 3]."""
        from tqdm import tqdm

        if images.dtype != np.uint8 or images.shape[1:] != (self.size, self.size, 3):
            raise EncoderError(
                f"images must be uint8 [n, {self.size}, {self.size}, 3]. "
                f"Received: {images.dtype} {list(images.shape)}. Resize them first."
            )
        vectors = np.empty((len(images), *self.shape), np.float32)

        def encode(start: int) -> int:
            batch = images[start : start + self._batch]
            vectors[start : start + self._batch] = self._network(batch.astype(np.float32) / 255)
            return len(batch)

        with (
            tqdm(total=len(images), desc="images", unit="image", disable=not progress) as bar,
            ThreadPoolExecutor(self._threads) as pool,
        ):
            for done in pool.map(encode, range(0, len(images), self._batch)):
                bar.update(done)
        return vectors


class _LiteNetwork:
    """A TensorFlow Lite network: float32 [n, size, size, 3] to [n, width], from any number of threads."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        # One that no thread computes with, by the number of images that it takes.
        self._idle: dict[int, SimpleQueue[Any]] = {1: SimpleQueue(), LITE_BATCH: SimpleQueue()}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if len(images) in self._idle:
            return self._run(images)
        return np.concatenate([self._run(image[None]) for image in images])

    def _run(self, images: np.ndarray) -> np.ndarray:
        idle = self._idle[len(images)]
        try:
            interpreter = idle.get_nowait()
        except Empty:
            interpreter = self._interpreter(len(images))
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        vectors: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        idle.put(interpreter)
        return vectors

    def _interpreter(self, count: int) -> Any:
        import tensorflow as tf

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
            interpreter = tf.lite.Interpreter(str(self._path), num_threads=1)
        place = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(place, [count, self._size, self._size, 3], strict=True)
        interpreter.allocate_tensors()
        return interpreter


def _module_network(path: Path, format: Format, sequences: bool) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    module = load_module(path)
    if sequences and not hasattr(module, FEATURE_MAP):
        raise EncoderError(
            f"{path}: head.attention: sequence needs an image module with a function {FEATURE_MAP} that gives "
            "float32 [n, height, width, channels]; this one gives a vector for each image only. Name another "
            "encoder, or set head.attention to pooled or none."
        )

    def call(images: np.ndarray) -> np.ndarray:
        with computing_in(format):
            if not sequences:
                vectors: np.ndarray = module(tf.constant(images)).numpy()
                return vectors
            grid: np.ndarray = getattr(module, FEATURE_MAP)(tf.constant(images)).numpy()
        return grid.reshape(len(grid), -1, grid.shape[-1])

    return call


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
