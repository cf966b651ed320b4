"""Images to vectors: an image encoder, a module of the TF-Hub form."""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import numpy as np

from entailment.data.images import core_count
from entailment.encoders.build import LITE_FILE
from entailment.encoders.handles import (
    device_kind,
    fingerprint,
    fingerprint_of,
    load_module,
    output_width,
    resolve_handle,
)
from entailment.errors import EncoderError
from entailment.progress import progress_bar

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

`lite` is for processors, where the module brings a TensorFlow Lite file: XNNPACK, a thread for each
core, every call on one of them. Measured on 2 busy cores, images/s: 588 so, 400 through TensorFlow, whose threads
wait for each other in each of 50 operations. A vector is the same to the last bit whatever else is in the batch.
"""


class ImageEncoder:
    """Frozen image encoder.

    `handle` names the module (see `resolve_handle`), `folder` is where built and downloaded modules are kept, `size`
    is the side of the images in pixels. `fingerprint` changes whenever a vector could. The module is loaded when it
    is first used: all features may be stored. Raises EncoderError when it cannot be found, loaded or called.
    """

    def __init__(self, handle: str, folder: Path, size: int = 128) -> None:
        """Finds (or builds, or downloads) the module."""
        self.handle = handle
        self.size = size
        self._path = resolve_handle(handle, folder)
        self._lite = device_kind() == "cpu" and (self._path / LITE_FILE).is_file()
        self._batch = LITE_BATCH if self._lite else BATCH
        self._threads = min(core_count(), LITE_THREADS) if self._lite else IN_FLIGHT
        self.fingerprint = fingerprint_of(
            image=fingerprint(self._path),
            size=size,
            method=METHODS["lite" if self._lite else "module"],
        )

    @cached_property
    def width(self) -> int:
        """That of an image's vector: the module is tried on a black image."""
        black = np.zeros((1, self.size, self.size, 3), np.float32)
        return output_width(self._path, lambda: self._network(black))

    @cached_property
    def _network(self) -> Callable[[np.ndarray], np.ndarray]:
        if self._lite:
            return _LiteNetwork(self._path / LITE_FILE, self.size)
        return _module_network(self._path)

    def encode(self, images: np.ndarray, progress: bool = False) -> np.ndarray:
        """The vector of each image, float32 [n, width]; `images` are uint8 RGB [n, size, size, 3]."""
        if images.dtype != np.uint8 or images.shape[1:] != (self.size, self.size, 3):
            raise EncoderError(
                f"images must be uint8 [n, {self.size}, {self.size}, 3]. "
                f"Received: {images.dtype} {list(images.shape)}. Resize them first."
            )
        vectors = np.empty((len(images), self.width), np.float32)

        def encode(start: int) -> int:
            batch = images[start : start + self._batch]
            vectors[start : start + self._batch] = self._network(batch.astype(np.float32) / 255)
            return len(batch)

        with (
            progress_bar(len(images), unit="image", what="images", shown=progress) as bar,
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


def _module_network(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    module = load_module(path)

    def call(images: np.ndarray) -> np.ndarray:
        vectors: np.ndarray = module(tf.constant(images)).numpy()
        return vectors

    return call
