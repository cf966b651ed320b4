"""From raw texts and image bytes to a label: the same decoding, encoders and head as in training."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.data.records import Row
from entailment.data.schema import LABEL, LABELS, PROBABILITY, TEXT
from entailment.encoders.feature_store import Usage
from entailment.files import read_json
from entailment.model.featurizer import Featurizer
from entailment.model.head import load_head
from entailment.serving.package import SETTINGS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

IMAGE: Final = ("image_1", "image_2")
"""Columns of image bytes."""
_BATCH: Final = 256


class Predictor:
    """A packed model, loaded."""

    def __init__(self, folder: Path, store: Path | None = None) -> None:
        """Loads what `write_package` wrote; needs nothing else.

        What it encodes is kept below the folder `store` and taken from there, where one is given.
        """
        from entailment.encoders.image import ImageEncoder
        from entailment.encoders.text import TextEncoder

        self._settings: dict[str, Any] = read_json(folder / SETTINGS)
        text = image = None
        if (folder / "text").is_dir():
            text = TextEncoder(
                str(folder / "text"),
                str(folder / "preprocessor"),
                folder,
                self._settings["sequence_length"],
                self._settings["text_output"],
            )
        if (folder / "image").is_dir():
            image = ImageEncoder(
                str(folder / "image"),
                folder,
                self._settings["image_size"],
            )
        self._featurizer = Featurizer(text, image, pair=self._settings["pair"], store=store)
        self._head = load_head(folder / "head.keras")

    @property
    def usage(self) -> Usage:
        """What the store was asked for so far."""
        return self._featurizer.usage

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Labels and probabilities of raw pairs, in input order and with the frame's index.

        Args:
            frame: columns text_1, text_2 (str), image_1, image_2 (bytes); a column that is not there, None
                and the empty value all mean absent.

        Returns:
            Columns label, p_contradictory, p_implies, p_no_entailment and error; where error is not empty
            (why the row could not be scored) label is empty and the probabilities are NaN.
        """
        import pandas as pd

        parts = [self._batch(frame.iloc[start : start + _BATCH]) for start in range(0, len(frame), _BATCH)]
        if not parts:
            return pd.DataFrame({name: [] for name in (LABEL, *PROBABILITY, "error")})
        return pd.concat(parts)

    def _batch(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        import numpy as np
        import pandas as pd

        # JSON lets half of a surrogate pair through, which UTF-8 cannot hold.
        texts = [[str(t).encode("utf-8", "replace").decode() for t in _column(frame, n, "")] for n in TEXT]
        images, faults = self._images(frame)
        errors = [
            self._fault(pair, fault) for pair, fault in zip(zip(*texts, strict=True), faults, strict=True)
        ]
        rows = [
            Row(("", ""), (first, second), (left, right), 0)
            for first, second, left, right in zip(*texts, *images, strict=True)
        ]
        good = [index for index, error in enumerate(errors) if not error]
        probabilities = np.full((len(rows), len(LABELS)), np.nan, np.float32)
        if good:
            inputs = self._featurizer.rows([rows[index] for index in good])
            probabilities[good] = self._head.predict(inputs, batch_size=_BATCH, verbose=0)
        labels = [
            "" if error else LABELS[int(row.argmax())]
            for error, row in zip(errors, probabilities, strict=True)
        ]
        answers = {LABEL: labels, **dict(zip(PROBABILITY, probabilities.T, strict=True)), "error": errors}
        return pd.DataFrame(answers, index=frame.index)

    def _images(self, frame: "pd.DataFrame") -> "tuple[list[list[np.ndarray | None]], list[str]]":
        """Decoded images of both sides, None where absent, and for each row what is wrong with them."""
        from entailment.data.images import decode_images

        sides: list[list[np.ndarray | None]] = []
        faults = [""] * len(frame)
        for name in IMAGE:
            # A text here is the empty one, or no picture, which its row will say.
            values = _column(frame, name, b"")
            data = [value.encode() if isinstance(value, str) else bytes(value) for value in values]
            if self._settings["inputs"] == "text":
                sides.append([None] * len(frame))
                continue
            pixels, reasons = decode_images(data, self._settings["image_size"], self._settings["max_pixels"])
            sides.append([None if reason else image for image, reason in zip(pixels, reasons, strict=True)])
            for index, (raw, reason) in enumerate(zip(data, reasons, strict=True)):
                if raw and reason:
                    faults[index] = faults[index] or f"{name}: {reason}"
        return sides, faults

    def _fault(self, texts: Sequence[str], image_fault: str) -> str:
        for name, text in zip(TEXT, texts, strict=True):
            if len(text.encode()) > self._settings["max_text_bytes"]:
                return f"{name} is longer than {self._settings['max_text_bytes']} bytes"
        return image_fault


def _column(frame: "pd.DataFrame", name: str, absent: Any) -> list[Any]:
    import pandas as pd

    if name not in frame.columns:
        return [absent] * len(frame)
    return [absent if value is None or value is pd.NA or value != value else value for value in frame[name]]
