"""A packed model that answers through the store of features, so that no input is encoded twice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entailment.configuration.inputs import InputsConfiguration
from entailment.encoders.feature_store import Usage
from entailment.errors import EntailmentError
from entailment.inputs import kind_named
from entailment.model.features import Featurizer
from entailment.records.reading import Row
from entailment.serving.package import open_package, read_settings
from entailment.serving.reader import NOT_ENCODED, SETTINGS
from entailment.task import KINDS

if TYPE_CHECKING:
    import pandas as pd


class Predictor:
    """A packed model of any format, for the gate and drift. Requests are answered by `reader.Reader`."""

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
        """Labels and probabilities of raw pairs, as `entailment.serving.reader.Reader.predict` gives them.

        Raises EntailmentError where none of several rows can be encoded, nor a sample that is in order: it is not the
        rows then.
        """
        answers: pd.DataFrame = self._reader.predict(frame)
        if len(answers) > 1 and _not_encoded(answers) and _not_encoded(self._reader.predict(_sample(frame))):
            raise EntailmentError(
                f"The registered model answers none of {len(answers)} rows, as by a fault of the machine or of the"
                f" program: {answers['error'].iloc[0]}. Mend that, and run the command again."
            )
        return answers

    def _encode(self, values: Mapping[str, Sequence[tuple[Any, Any]]]) -> Any:
        assert self._featurizer
        rows = [
            Row(("", ""), dict(zip(values, pairs, strict=True)), 0)
            for pairs in zip(*values.values(), strict=True)
        ]
        return self._featurizer.rows(rows)


def _not_encoded(answers: "pd.DataFrame") -> bool:
    """Whether no row could be encoded."""
    return bool(answers["error"].str.startswith(NOT_ENCODED).all())


def _sample(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A row of the same columns that can be encoded wherever any can."""
    import pandas as pd

    kinds = map(kind_named, KINDS)
    return pd.DataFrame(
        {column: [kind.sample()] for kind in kinds for column in kind.columns if column in frame.columns}
    )


def _featurizer(folder: Path, store: Path) -> Featurizer | None:
    """With the encoders in the package, called as they were when it was written; None where they no longer are."""
    settings = read_settings(folder)
    told = dict(settings["kinds"])
    if not set(told) <= set(KINDS):
        return None
    sections: dict[str, dict[str, Any]] = {
        name: {"encoder": str(folder / name)} for name in told if (folder / name).is_dir()
    }
    nested: dict[str, Any] = {"encoders": sections}
    if "text" in told:
        text, preprocessor = told["text"], folder / "preprocessor"
        sections["text"] |= {
            "preprocessor": str(preprocessor) if preprocessor.is_dir() else None,
            "sequence_length": text["sequence_length"],
            "output": text["output"],
            "encode": "pair" if text["pair"] else "each",
        }
    if "image" in told:
        nested["images"] = {"size": told["image"]["size"]}
    config = InputsConfiguration.model_validate(nested)
    featurizer = Featurizer([kind_named(name).channel(config, folder) for name in told], store=store)
    # A kind without a module is computed by its file: another key says that the file is another one today.
    own = [name for name in told if name not in sections]
    return featurizer if all(featurizer.store_keys[n] == settings["store_keys"][n] for n in own) else None
