"""A packed model that answers through the store of features, so that no input is encoded twice."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from entailment.encoders.feature_store import Usage
from entailment.files import read_json
from entailment.model.features import Featurizer
from entailment.records.reading import Row
from entailment.serving.package import open_package
from entailment.serving.reader import SETTINGS

if TYPE_CHECKING:
    import pandas as pd


class Predictor:
    """A packed model of any format, loaded."""

    def __init__(self, folder: Path, store: Path | None = None) -> None:
        """Loads what `write_package` wrote.

        With a folder `store`, what is encoded is kept below it and taken from there (not by a package of format 1).
        Raises DataError as `open_package`.
        """
        self._featurizer = _featurizer(folder, store) if store and (folder / SETTINGS).is_file() else None
        self._reader = open_package(folder, self._encode if self._featurizer else None)

    @property
    def usage(self) -> Usage:
        """What the store was asked for so far."""
        return self._featurizer.usage if self._featurizer else Usage()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that it answers with."""
        return tuple(self._reader.settings["labels"])

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Labels and probabilities of raw pairs, as `entailment.serving.reader.Reader.predict` gives them."""
        answers: pd.DataFrame = self._reader.predict(frame)
        return answers

    def _encode(self, texts: Any, images: Any) -> Any:
        assert self._featurizer
        rows = [Row(("", ""), *pair, 0) for pair in zip(texts, images, strict=True)]
        return self._featurizer.rows(rows)


def _featurizer(folder: Path, store: Path) -> Featurizer:
    from entailment.encoders.image import ImageEncoder
    from entailment.encoders.text import TextEncoder

    settings = read_json(folder / SETTINGS)
    text = image = None
    if (folder / "text").is_dir():
        handles = str(folder / "text"), str(folder / "preprocessor")
        text = TextEncoder(*handles, folder, settings["sequence_length"], settings["text_output"])
    if (folder / "image").is_dir():
        image = ImageEncoder(str(folder / "image"), folder, settings["decoding"]["size"])
    return Featurizer(text, image, pair=settings["pair"], store=store)
