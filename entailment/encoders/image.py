"""Images to vectors: an image encoder, a module of the TF-Hub form."""

from pathlib import Path

import numpy as np

from entailment.encoders.handles import (
    fingerprint,
    fingerprint_of,
    load_module,
    output_width,
    resolve_handle,
)
from entailment.errors import EncoderError

BATCH = 32
METHOD = f"image 1: float32 in 0..1, {BATCH} images a batch"
"""How images are brought to the module; part of the fingerprint, because it decides the last bits of a vector."""


class ImageEncoder:
    """Frozen image encoder.

    `handle` names the module (see `resolve_handle`), `folder` is where built and downloaded modules are kept, `size`
    is the side of the images in pixels. `width` is the length of a vector; `fingerprint` changes whenever the
    vectors could. Raises EncoderError when the module cannot be found, loaded or called.
    """

    def __init__(self, handle: str, folder: Path, size: int = 128) -> None:
        """Finds (or builds, or downloads) and loads the module, and tries it on a black image."""
        self.handle = handle
        path = resolve_handle(handle, folder)
        self.size = size
        self._module = load_module(path)
        self.width = output_width(path, lambda: self._call(np.zeros((1, size, size, 3), np.uint8)))
        self.fingerprint = fingerprint_of(image=fingerprint(path), size=size, method=METHOD)

    def encode(self, images: np.ndarray, progress: bool = False) -> np.ndarray:
        """The vector of each image, float32 [n, width]; `images` are uint8 RGB [n, size, size, 3]."""
        from tqdm import tqdm

        if images.dtype != np.uint8 or images.shape[1:] != (self.size, self.size, 3):
            raise EncoderError(
                f"images must be uint8 [n, {self.size}, {self.size}, 3]. "
                f"Received: {images.dtype} {list(images.shape)}. Resize them first."
            )
        vectors = np.empty((len(images), self.width), np.float32)
        with tqdm(total=len(images), desc="images", unit="image", disable=not progress) as bar:
            for start in range(0, len(images), BATCH):
                batch = images[start : start + BATCH]
                vectors[start : start + BATCH] = self._call(batch)
                bar.update(len(batch))
        return vectors

    def _call(self, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        vectors: np.ndarray = self._module(tf.constant(images, tf.float32) / 255).numpy()
        return vectors
