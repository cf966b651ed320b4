"""Answers raw pairs with the graphs of a package: what a registered model is read by.

A package holds this file and those of the kinds of input that the model sees, with what they import, in a Python
package that is named by their hash, so that two versions in one process never share code. Hence the relative imports,
and nothing else of this project.
"""

import difflib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..inputs.kind import Served, kind_in
from ..task import columns_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SETTINGS: Final = "package.json"
ROWS_AT_ONCE: Final = 256
NOT_ENCODED: Final = "cannot be encoded"
_NO_ANSWER: Final = "no finite answer"

Encode = Callable[[Mapping[str, Sequence[tuple[Any, Any]]]], Any]
"""By kind of input both sides of some rows, None where absent -> float32 inputs of the head, by name."""


class ColumnError(ValueError):
    """A column is misspelt, or none is known."""


class Reader:
    """A package, loaded: encoders, head and settings.

    Example:
        Reader(Path("package")).predict(pandas.DataFrame({"text_1": ["It rains."], "text_2": ["It is dry."]}))
    """

    def __init__(self, folder: Path, encode: Encode | None = None) -> None:
        """Loads the package in `folder`. `encode`, if given, takes the place of its own encoders."""
        import tensorflow as tf

        self.settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        self._kinds = {name: _served(name, folder, told) for name, told in self.settings["kinds"]}
        self._encode = encode or _Encoders(self._kinds, self.settings)
        self._head = tf.saved_model.load(str(folder / "head"))

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Labels and probabilities of raw pairs, in input order and with the frame's index.

        Args:
            frame: columns text_1, text_2 (str), image_1, image_2 (bytes), and those of further kinds of input that
                the model sees; a column that is not there, None and the empty value all mean absent. Other columns
                are ignored.

        Returns:
            Columns label, one `p_...` for each class, and error; where error is not empty (why the row could not be
            scored) label is empty and the probabilities are NaN.

        Raises:
            ColumnError: a column is misspelt, or none is known; a ValueError.
        """
        import pandas as pd

        _check_columns([str(name) for name in frame.columns], [name for name, _ in self.settings["columns"]])
        starts = range(0, max(1, len(frame)), ROWS_AT_ONCE)
        return pd.concat([self._answers(frame.iloc[start : start + ROWS_AT_ONCE]) for start in starts])

    def _answers(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        import numpy as np
        import pandas as pd

        values, errors = self._values(frame)
        good = [row for row, error in enumerate(errors) if not error]
        labels = self.settings["labels"]
        probabilities = np.full((len(frame), len(labels)), np.nan, np.float32)
        for row, answer in zip(good, self._scored(values, good) if good else (), strict=True):
            if isinstance(answer, str):
                errors[row] = answer
            else:
                probabilities[row] = answer
        answers: dict[str, Any] = {
            "label": [
                "" if error else labels[int(row.argmax())]
                for error, row in zip(errors, probabilities, strict=True)
            ]
        }
        answers |= dict(zip(self.settings["probabilities"], probabilities.T, strict=True))
        return pd.DataFrame(answers | {"error": errors}, index=frame.index)

    def _scored(
        self, values: Mapping[str, Sequence[tuple[Any, Any]]], rows: Sequence[int]
    ) -> "list[np.ndarray | str]":
        """For each row its probabilities, or why there are none; what fails in one costs no other."""
        import numpy as np

        try:
            inputs = self._encode({name: [pairs[row] for row in rows] for name, pairs in values.items()})
            scored = self._head(inputs).numpy()
        except Exception as error:  # whatever a kind of input raises
            if len(rows) == 1:
                return [f"{NOT_ENCODED}: {error}"]
            return [answer for row in rows for answer in self._scored(values, [row])]
        return [answer if np.isfinite(answer).all() else _NO_ANSWER for answer in scored]

    def _values(self, frame: "pd.DataFrame") -> tuple[dict[str, list[tuple[Any, Any]]], list[str]]:
        """By kind of input both sides of each row, and for each row why it cannot be judged, "" if it can."""
        values: dict[str, list[tuple[Any, Any]]] = {}
        errors, says = [""] * len(frame), [False] * len(frame)
        for kind, served in self._kinds.items():
            sides = []
            for column in columns_of(kind):
                found, faults = served.values(_column(frame, column))
                sides.append(found)
                for row, fault in enumerate(faults):
                    if fault:
                        errors[row] = errors[row] or f"{column}: {fault}"
            values[kind] = list(zip(*sides, strict=True))
            # Packed as one input, a side alone is none.
            needed = all if kind in self.settings["widths"] else any
            said = (needed(value is not None for value in pair) for pair in values[kind])
            says = [before or now for before, now in zip(says, said, strict=True)]
        names = ", ".join(column for kind in self._kinds for column in columns_of(kind))
        packed = [kind for kind in self._kinds if kind in self.settings["widths"]]
        nothing = f"nothing to judge: {names} are absent or blank"
        nothing += "".join(f" (both of {' and '.join(columns_of(kind))} are needed)" for kind in packed)
        return values, [error or ("" if said else nothing) for error, said in zip(errors, says, strict=True)]


class _Encoders:
    """The encoders of a package: `Encode`."""

    def __init__(self, kinds: Mapping[str, Served], settings: Mapping[str, Any]) -> None:
        self._encoders = {kind: served.load() for kind, served in kinds.items()}
        self._widths = settings["widths"]

    def __call__(self, values: Mapping[str, Sequence[tuple[Any, Any]]]) -> "dict[str, np.ndarray]":
        inputs: dict[str, Any] = {}
        for kind, encode in self._encoders.items():
            if kind in self._widths:
                packed = [None if None in pair else pair for pair in values[kind]]
                inputs |= self._encoded((kind,), [packed], encode)
            else:
                inputs |= self._encoded(columns_of(kind), list(zip(*values[kind], strict=True)), encode)
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


def _served(kind: str, folder: Path, settings: Mapping[str, Any]) -> Served:
    return kind_in(importlib.import_module(f"..inputs.{kind}", __package__)).server(folder, settings)


def _check_columns(names: Sequence[str], known: Sequence[str]) -> None:
    for name in set(names) - set(known):
        if near := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            raise ColumnError(
                f"There is no column '{name}'. Did you mean '{near[0]}'? Rename it, or leave it out."
            )
    if not set(names) & set(known):
        given = ", ".join(names) or "none"
        raise ColumnError(f"At least one of the columns {', '.join(known)} must be there. Received: {given}.")


def _column(frame: "pd.DataFrame", name: str) -> list[Any]:
    """The values of a column, None where one is absent."""
    if name not in frame.columns:
        return [None] * len(frame)
    return [None if _is_absent(value) else value for value in frame[name]]


def _is_absent(value: Any) -> bool:
    """Whether it is None, not a number, or pandas' NA; any other thing is for its kind to judge."""
    import pandas as pd

    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
