"""Answers raw pairs with the graphs of a package: what a registered model is read by.

A package holds this file, `data/images.py` and `errors.py` in a Python package that is named by their hash, so that
two versions in one process never share code. Hence the relative imports, and nothing else of this project.
"""

import difflib
import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..data.images import decode_images

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SETTINGS: Final = "package.json"
LITE: Final = "network.tflite"
TEXT: Final = ("text_1", "text_2")
IMAGE: Final = ("image_1", "image_2")
ROWS_AT_ONCE: Final = 256
INPUTS_AT_ONCE: Final = 32

Encode = Callable[[list[tuple[str, str]], "list[tuple[np.ndarray | None, np.ndarray | None]]"], Any]
"""Texts and images (uint8 [size, size, 3], or None) of some rows -> float32 inputs of the head, by name."""


class Reader:
    """A package, loaded: encoders, head and settings.

    Example:
        Reader(Path("package")).predict(pandas.DataFrame({"text_1": ["It rains."], "text_2": ["It is dry."]}))
    """

    def __init__(self, folder: Path, encode: Encode | None = None) -> None:
        """Loads the package in `folder`. `encode`, if given, takes the place of its own encoders."""
        import tensorflow as tf

        self.settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        self._encode = encode or _Encoders(folder, self.settings)
        self._head = tf.saved_model.load(str(folder / "head"))

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Labels and probabilities of raw pairs, in input order and with the frame's index.

        Args:
            frame: columns text_1, text_2 (str), image_1, image_2 (bytes); a column that is not there, None and the
                empty value all mean absent. Other columns are ignored.

        Returns:
            Columns label, one `p_...` for each class, and error; where error is not empty (why the row could not be
            scored) label is empty and the probabilities are NaN.

        Raises:
            ValueError: a column is misspelt, or none is known.
        """
        import pandas as pd

        _check_columns([str(name) for name in frame.columns])
        starts = range(0, max(1, len(frame)), ROWS_AT_ONCE)
        return pd.concat([self._answers(frame.iloc[start : start + ROWS_AT_ONCE]) for start in starts])

    def _answers(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        import numpy as np
        import pandas as pd

        # JSON lets half of a surrogate pair through, which UTF-8 cannot hold.
        sides = [[str(t).encode("utf-8", "replace").decode() for t in _column(frame, n, "")] for n in TEXT]
        texts = list(zip(*sides, strict=True))
        images, faults = self._images(frame)
        errors = [self._fault(*row) for row in zip(texts, images, faults, strict=True)]
        good = [row for row, error in enumerate(errors) if not error]
        labels = self.settings["labels"]
        probabilities = np.full((len(frame), len(labels)), np.nan, np.float32)
        if good:
            inputs = self._encode([texts[row] for row in good], [images[row] for row in good])
            probabilities[good] = self._head(inputs).numpy()
        answers: dict[str, Any] = {
            "label": [
                "" if error else labels[int(row.argmax())]
                for error, row in zip(errors, probabilities, strict=True)
            ]
        }
        answers |= dict(zip(self.settings["probabilities"], probabilities.T, strict=True))
        return pd.DataFrame(answers | {"error": errors}, index=frame.index)

    def _images(
        self, frame: "pd.DataFrame"
    ) -> "tuple[list[tuple[np.ndarray | None, np.ndarray | None]], list[str]]":
        """The decoded images of each row, None where absent, and what is wrong with them."""
        faults = [""] * len(frame)
        if self.settings["inputs"] == "text":
            return [(None, None)] * len(frame), faults
        sides: list[list[np.ndarray | None]] = []
        for name in IMAGE:
            # A text here is the empty one, or no picture, which its row will say.
            values = _column(frame, name, b"")
            data = [v.encode("utf-8", "replace") if isinstance(v, str) else bytes(v) for v in values]
            pixels, reasons = decode_images(data, **self.settings["decoding"])
            sides.append([None if reason else image for image, reason in zip(pixels, reasons, strict=True)])
            for row, (raw, reason) in enumerate(zip(data, reasons, strict=True)):
                if raw and reason:
                    faults[row] = faults[row] or f"{name}: {reason}"
        return list(zip(*sides, strict=True)), faults

    def _fault(self, texts: Sequence[str], images: "Sequence[np.ndarray | None]", image_fault: str) -> str:
        limit, kind = self.settings["max_text_bytes"], self.settings["inputs"]
        for name, text in zip(TEXT, texts, strict=True):
            if len(text.encode()) > limit:
                return f"{name} is longer than {limit} bytes"
        said = kind != "image" and any(text.strip() for text in texts)
        shown = any(image is not None for image in images)
        if not (said or shown or image_fault):
            names = {"text": TEXT, "image": IMAGE}.get(kind, (*TEXT, *IMAGE))
            return f"nothing to judge: {', '.join(names)} are absent or blank"
        return image_fault


class _Encoders:
    """The encoders of a package: `Encode`."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._text = _TextEncoder(folder, settings) if (folder / "text").is_dir() else None
        self._image = _image_encoder(folder / "image", settings) if (folder / "image").is_dir() else None
        self._pair, self._widths = settings["pair"], settings["widths"]

    def __call__(
        self,
        texts: list[tuple[str, str]],
        images: "list[tuple[np.ndarray | None, np.ndarray | None]]",
    ) -> "dict[str, np.ndarray]":
        inputs: dict[str, Any] = {}
        if self._text and self._pair:
            packed = [pair if all(pair) else None for pair in texts]
            inputs |= self._encoded(("text",), [packed], self._text)
        elif self._text:
            sides = [[text or None for text in side] for side in zip(*texts, strict=True)]
            inputs |= self._encoded(TEXT, sides, self._text)
        if self._image:
            inputs |= self._encoded(IMAGE, list(zip(*images, strict=True)), self._image)
        return inputs

    def _encoded(
        self, names: Sequence[str], sides: Sequence[Sequence[Any]], encode: Callable[[list[Any]], Any]
    ) -> "dict[str, np.ndarray]":
        """The vectors of each side, zero where a value is None, and which are there."""
        import numpy as np

        values = [value for side in sides for value in side]
        there = [place for place, value in enumerate(values) if value is not None]
        vectors = np.zeros((len(values), self._widths[names[0]]), np.float32)
        if there:
            vectors[there] = encode([values[place] for place in there])
        present = np.zeros((len(values), 1), np.float32)
        present[there] = 1
        parts = zip(names, np.split(vectors, len(names)), np.split(present, len(names)), strict=True)
        return {k: v for name, part, here in parts for k, v in ((name, part), (f"{name}_present", here))}


class _TextEncoder:
    """Texts, or pairs of texts, to vectors."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  (registers the operations of the preprocessor)

        self._preprocessor = tf.saved_model.load(str(folder / "preprocessor"))
        self._module = tf.saved_model.load(str(folder / "text"))
        self._length, self._output = settings["sequence_length"], settings["text_output"]
        described = folder / "text" / "module.json"
        self._any_length = described.is_file() and bool(json.loads(described.read_text()).get("any_length"))

    def __call__(self, texts: list[Any]) -> "np.ndarray":
        """float32 [n, width] of n texts or pairs, those of about one length together."""
        import numpy as np
        import tensorflow as tf

        tuples = [text if isinstance(text, tuple) else (text,) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: sum(map(len, tuples[place])))
        vectors: list[Any] = [None] * len(texts)
        for start in range(0, len(order), INPUTS_AT_ONCE):
            places = order[start : start + INPUTS_AT_ONCE]
            sides = zip(*(tuples[place] for place in places), strict=True)
            tokens = [self._preprocessor.tokenize(tf.constant(side, tf.string)) for side in sides]
            packed = self._preprocessor.bert_pack_inputs(tokens, seq_length=tf.constant(self._length))
            if self._any_length:
                longest = tf.reduce_max(tf.reduce_sum(packed["input_mask"], axis=1))
                packed = {name: ids[:, :longest] for name, ids in packed.items()}
            for place, vector in zip(places, self._module(packed)[self._output].numpy(), strict=True):
                vectors[place] = vector
        return np.stack(vectors)


def _image_encoder(folder: Path, settings: dict[str, Any]) -> "Callable[[list[np.ndarray]], np.ndarray]":
    """Images, uint8 [size, size, 3], to float32 [n, width]; on XNNPACK where the module brings a file for it."""
    import numpy as np
    import tensorflow as tf

    if not (folder / LITE).is_file() or tf.config.list_physical_devices("GPU"):
        module = tf.saved_model.load(str(folder))

        def call(images: "list[np.ndarray]") -> "np.ndarray":
            starts = range(0, len(images), INPUTS_AT_ONCE)
            batches = (np.stack(images[s : s + INPUTS_AT_ONCE]).astype(np.float32) / 255 for s in starts)
            return np.concatenate([module(tf.constant(batch)).numpy() for batch in batches])

        return call
    own, size = threading.local(), settings["decoding"]["size"]

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
        vector: np.ndarray = own.interpreter.get_tensor(own.interpreter.get_output_details()[0]["index"])[0]
        return vector

    pool = ThreadPoolExecutor(os.cpu_count())
    return lambda images: np.stack(list(pool.map(one, images)))


def _check_columns(names: Sequence[str]) -> None:
    known = (*TEXT, *IMAGE)
    for name in set(names) - set(known):
        if near := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            raise ValueError(
                f"There is no column '{name}'. Did you mean '{near[0]}'? Rename it, or leave it out."
            )
    if not set(names) & set(known):
        given = ", ".join(names) or "none"
        raise ValueError(f"At least one of the columns {', '.join(known)} must be there. Received: {given}.")


def _column(frame: "pd.DataFrame", name: str, absent: Any) -> list[Any]:
    import pandas as pd

    if name not in frame.columns:
        return [absent] * len(frame)
    return [absent if value is None or value is pd.NA or value != value else value for value in frame[name]]
