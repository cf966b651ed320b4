"""Images: files found by their ids, resized pixels in the records, to vectors by an image encoder."""

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..data.images import core_count, decode_images
from .kind import Channel, Fault, Kind, Served, TrainedChannel

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import tensorflow as tf

    from entailment.configuration.inputs import InputsConfiguration
    from entailment.encoders.image import ImageEncoder

INPUTS_AT_ONCE: Final = 32
_WANTED: Final = "must be the bytes of an image file, in JSON and CSV as base64"
_PIXEL: Final = b"GIF87a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
LITE: Final = "network.tflite"
THREADS: Final = 8
"""At most, in a registered model: each has the packed weights to itself, 40 MB."""


def image_channel(encoder: "ImageEncoder") -> Channel:
    """Images with an encoder."""
    import numpy as np

    return Channel(
        "image",
        encoder,
        lambda images, progress: encoder.encode(np.stack(images), progress),
        "image",
        value_bytes=3 * encoder.size**2,
    )


class Image(Kind):
    """An image, uint8 RGB [size, size, 3]."""

    plural = "images"
    served_as = "bytes of an image file"

    def is_in(self, pairs: "pd.DataFrame") -> bool:
        """Whether an image was found that can be used."""
        from entailment.data.image_paths import OK
        from entailment.task import IMAGE_STATUS

        return any(name in pairs.columns and (pairs[name] == OK).any() for name in IMAGE_STATUS)

    def raw(self, pairs: "pd.DataFrame", side: int) -> list[Any]:
        """The bytes of each file; one that cannot be read any more is absent."""
        return [_read(path)[0] for path in _paths(pairs, side)]

    def sample(self) -> bytes:
        """One pixel."""
        return _PIXEL

    def stored(
        self, pairs: "pd.DataFrame", side: int, config: "InputsConfiguration"
    ) -> tuple[list[bytes], list[Fault | None]]:
        """The pixels of each resized image."""
        images = config.images
        paths = _paths(pairs, side)
        files, unread = zip(*map(_read, paths), strict=True)
        pixels, reasons = decode_images(files, images.size, images.max_pixels, images.max_decoded_bytes)
        data = [b"" if reason else image.tobytes() for image, reason in zip(pixels, reasons, strict=True)]
        faults = [
            (path, fault or reason) if path and reason else None
            for path, reason, fault in zip(paths, reasons, unread, strict=True)
        ]
        return data, faults

    def value(self, data: bytes) -> "np.ndarray | None":
        """uint8 [size, size, 3], None where the image is absent."""
        import numpy as np

        size = isqrt(len(data) // 3)
        return np.frombuffer(data, np.uint8).reshape(size, size, 3) if data else None

    def data(self, value: "np.ndarray | None") -> bytes:
        """Its pixels."""
        return b"" if value is None else value.tobytes()

    def channel(self, config: "InputsConfiguration", folder: Path) -> Channel:
        """With the configured encoder."""
        from entailment.encoders.image import ImageEncoder

        return image_channel(ImageEncoder(config.encoders.image.encoder, folder, config.images.size))

    def trained_channel(self, config: "InputsConfiguration", folder: Path) -> TrainedChannel:
        """With the configured encoder, trained."""
        return _TrainedImages(config, folder, self.columns)

    def settings(self, config: "InputsConfiguration") -> dict[str, Any]:
        """How images are decoded."""
        return config.images.model_dump(include={"size", "max_pixels", "max_decoded_bytes"})

    def server(self, folder: Path, settings: Mapping[str, Any]) -> Served:
        """The bytes of image files."""
        return _ServedImages(folder, settings)

    def limit(self, config: Mapping[str, Any]) -> str:
        """What is lost at their size."""
        size = config["images.size"]
        return f"Images are seen at {size} x {size} pixels: writing and small things in them are lost."


class _TrainedImages:
    """Images in the graph of a training."""

    def __init__(self, config: "InputsConfiguration", folder: Path, columns: tuple[str, str]) -> None:
        from entailment.encoders.trainable import TrainableEncoder

        image, self._columns, self._size = config.encoders.image, columns, config.images.size
        self.encoder = TrainableEncoder("encoders.image.trainable", image.encoder, folder, image.trainable)

    def given(self, batch: "Mapping[str, tf.Tensor]") -> "tuple[Any, dict[str, tf.Tensor]]":
        """Pixels in 0..1 of both sides one below the other, black where absent, and which images are there."""
        import tensorflow as tf

        size, sides = self._size, [batch[name] for name in self._columns]
        present = {
            f"{name}_present": tf.cast(tf.strings.length(data) > 0, tf.float32)[:, None]
            for name, data in zip(self._columns, sides, strict=True)
        }
        black = tf.constant(bytes(3 * size**2))
        data = tf.concat(sides, axis=0)
        data = tf.where(tf.strings.length(data) > 0, data, black)
        pixels = tf.reshape(tf.io.decode_raw(data, tf.uint8), (-1, size, size, 3))
        return tf.cast(pixels, tf.float32) / 255, present

    def vectors(self, given: Any) -> "list[tf.Tensor]":
        """Of both sides."""
        import tensorflow as tf

        return list(tf.split(self.encoder.module(given), 2))


class _ServedImages(Served):
    def values(self, raw: Sequence[Any]) -> tuple[list[Any], list[str]]:
        data, faults = zip(*map(_file_bytes, raw), strict=True) if raw else ((), ())
        limits = (self.settings[name] for name in ("size", "max_pixels", "max_decoded_bytes"))
        pixels, reasons = decode_images(data, *limits)
        values = [None if reason else image for image, reason in zip(pixels, reasons, strict=True)]
        undecodable = [reason if given else "" for given, reason in zip(data, reasons, strict=True)]
        return values, [fault or reason for fault, reason in zip(faults, undecodable, strict=True)]

    def load(self) -> "Callable[[list[np.ndarray]], np.ndarray]":
        """On XNNPACK where the module brings a file for it."""
        import numpy as np
        import tensorflow as tf

        folder, size = self.folder / "image", self.settings["size"]
        if not (folder / LITE).is_file() or tf.config.list_physical_devices("GPU"):
            module = tf.saved_model.load(str(folder))

            def call(images: "list[np.ndarray]") -> "np.ndarray":
                starts = range(0, len(images), INPUTS_AT_ONCE)
                batches = (np.stack(images[s : s + INPUTS_AT_ONCE]).astype(np.float32) / 255 for s in starts)
                return np.concatenate([module(tf.constant(batch)).numpy() for batch in batches])

            return call
        own = threading.local()

        def one(image: "np.ndarray") -> "np.ndarray":
            if not hasattr(own, "interpreter"):
                own.interpreter = tf.lite.Interpreter(str(folder / LITE), num_threads=1)
                own.interpreter.resize_tensor_input(
                    own.interpreter.get_input_details()[0]["index"], [1, size, size, 3], strict=True
                )
                own.interpreter.allocate_tensors()
            own.interpreter.set_tensor(
                own.interpreter.get_input_details()[0]["index"], image[None].astype(np.float32) / 255
            )
            own.interpreter.invoke()
            vector: np.ndarray = own.interpreter.get_tensor(own.interpreter.get_output_details()[0]["index"])[
                0
            ]
            return vector

        pool = ThreadPoolExecutor(min(core_count(), THREADS))
        return lambda images: np.stack(list(pool.map(one, images)))


def _paths(pairs: "pd.DataFrame", side: int) -> list[str]:
    """The file of each row's image, empty where there is none that can be used."""
    from entailment.data.image_paths import OK
    from entailment.task import IMAGE_PATH, IMAGE_STATUS

    found = zip(pairs[IMAGE_PATH[side]].tolist(), pairs[IMAGE_STATUS[side]].tolist(), strict=True)
    return [path if status == OK else "" for path, status in found]


def _read(path: str) -> tuple[bytes, str]:
    """A file's bytes, and why there are none."""
    try:
        return (Path(path).read_bytes() if path else b""), ""
    except OSError as error:
        return b"", f"{error.strerror} since it was found"


def _file_bytes(value: Any) -> tuple[bytes, str]:
    """The bytes of an image file that a request gives, as they are or as base64, and why there are none."""
    if value is None or isinstance(value, bytes | bytearray | memoryview):
        return bytes(value or b""), ""
    if not isinstance(value, str):
        return b"", f"{_WANTED}. Received: {type(value).__name__}"
    if value.startswith(("http://", "https://", "data:")):
        return b"", f"{_WANTED}, not an address"
    try:
        # In lines of 76, or of the kind that stands in addresses, it is base64 too.
        plain = "".join(value.split()).translate(str.maketrans("-_", "+/"))
        return base64.b64decode(plain, validate=True), ""
    except ValueError:
        return b"", f"{_WANTED}. Received: a text that is no base64"
