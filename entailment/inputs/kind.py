"""What a kind of input is: from a column of the table to bytes in the records, to vectors, and the same when served.

A kind is a class in a file of its own beside this one. That file also goes into each registered model that sees the
kind: what is imported at its top must lie there too (this file, `errors.py`, `task.py`, `data/images.py`), hence
relative imports; what only training needs is imported where it is used.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Number
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..task import BLANK, columns_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import tensorflow as tf

    from entailment.configuration.inputs import InputsConfiguration
    from entailment.data.pairs import ColumnRule
    from entailment.encoders.trainable import TrainableEncoder

Fault = tuple[str, str]
"""What cannot be read, and why."""


class Encoder(Protocol):
    """What makes vectors."""

    handle: str
    """What it is called in the configuration."""
    fingerprint: str
    """Changes whenever a vector could."""

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        ...


@dataclass(frozen=True)
class Channel:
    """How one kind of input becomes inputs of the head."""

    kind: str
    encoder: Encoder
    encode: "Callable[[Sequence[Any], bool], np.ndarray]"
    """Values, and whether progress is shown -> float32 [n, width]; of pairs of values where `pair` is set."""
    store: str
    """What features of this kind are called in a store."""
    pair: bool = False
    """Whether both sides of a row are encoded as one."""
    value_bytes: int = 0
    """How much memory a value takes, where that matters."""


class TrainedChannel(Protocol):
    """The same for an encoder that is trained: inside a graph, from parsed examples."""

    encoder: "TrainableEncoder"

    def given(self, batch: "Mapping[str, tf.Tensor]") -> "tuple[Any, dict[str, tf.Tensor]]":
        """What the encoder takes of a batch of examples, and `<input>_present`, float32 [n, 1], of each input."""
        ...

    def vectors(self, given: Any) -> "list[tf.Tensor]":
        """By input of the head, in the order of `given`'s presences, float32 [n, width]."""
        ...


class Served:
    """A kind of input in a registered model: raw values of a column, then vectors."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """`folder` is the package's, `settings` what `Kind.settings` gave when it was written."""
        self.folder, self.settings = folder, settings

    def values(self, raw: Sequence[Any]) -> tuple[list[Any], list[str]]:
        """What `encode` takes of each raw value (None: absent), and what is wrong with it, "" if nothing."""
        raise NotImplementedError

    def load(self) -> "Callable[[list[Any]], np.ndarray]":
        """What encodes n values, or pairs of them, as float32 [n, width]."""
        raise NotImplementedError


class Kind:
    """One kind of input.

    What it must say: `plural`, and how it is encoded; `rule` and `example` where not any text will do. The class as
    it stands takes texts and encodes them with `vectors`, a function of its own; a kind with an encoder to be loaded
    has another `channel` and `server`, one that is not made of texts another `stored`, `value` and `data`.

    Example, columns `numbers_1` and `numbers_2` in a file `numbers.py`:

        class Numbers(Kind):
            plural = "numbers"
            rule = r"-?\\d+( -?\\d+)*", "whole numbers with one blank between"
            example = "1 -2"

            def vectors(self, values):
                import numpy as np

                return np.array([[len(value.split())] for value in values], np.float32)
    """

    plural: ClassVar[str]
    """What several of them are called."""
    rule: "ClassVar[ColumnRule]" = r"(?s).*", "a text"
    """A regular expression that each value in a table follows unless it is empty (absent), and in words what it asks
    for; texts and images have rules of their own."""
    example: ClassVar[str] = ""
    """A value that follows `rule`."""
    optional: ClassVar[bool] = True
    """Whether a row of the table may lack one side."""
    served_type: ClassVar[str] = "string"
    """How MLflow calls the type of the raw value that a registered model takes. Of `binary` it refuses a whole
    request for one null and decodes base64 in some formats only; bytes pass as `string` too, base64 is decoded here.
    """

    served_as: ClassVar[str] = "string"
    """The same in words, as pictures of the model show it."""

    def __init__(self, name: str) -> None:
        """`name` is the file's."""
        self.name = name

    @property
    def columns(self) -> tuple[str, str]:
        """Of the table, of the records, and of what a registered model takes."""
        return columns_of(self.name)

    def is_in(self, pairs: "pd.DataFrame") -> bool:
        """Whether a table has it."""
        return set(self.columns) <= set(pairs.columns)

    def raw(self, pairs: "pd.DataFrame", side: int) -> list[Any]:
        """Each row's raw value as a registered model takes it."""
        return pairs[self.columns[side]].tolist()

    def sample(self) -> Any:
        """A raw value that can be encoded wherever any can."""
        return self.example or "a"

    def stored(
        self, pairs: "pd.DataFrame", side: int, config: "InputsConfiguration"
    ) -> tuple[list[bytes], list[Fault | None]]:
        """What the records hold of each row, empty where it is absent or faulty, and what is wrong with it."""
        return [self.data(value) for value in self.raw(pairs, side)], [None] * len(pairs)

    def value(self, data: bytes) -> Any:
        """What the encoder takes, from what the records hold."""
        return data.decode()

    def data(self, value: Any) -> bytes:
        """What the records hold, from what the encoder takes; empty for None and the empty value."""
        return value.encode("utf-8", "replace") if value else b""

    def vectors(self, values: Sequence[Any]) -> "np.ndarray":
        """float32 [n, width] of n values; each must depend on its value alone."""
        raise NotImplementedError

    def channel(self, config: "InputsConfiguration", folder: Path) -> Channel:
        """How it is encoded; modules are found or built in `folder`."""
        return Channel(self.name, _OwnFile(self), lambda values, _: self._finite_vectors(values), self.name)

    def _finite_vectors(self, values: Sequence[Any]) -> "np.ndarray":
        """What `vectors` gives. Raises DataError that names a value of which alone it makes no finite numbers."""
        import numpy as np

        from ..errors import DataError

        cause, columns = None, " or ".join(self.columns)
        try:
            vectors, reason = self.vectors(values), "a number is not finite"
            if np.isfinite(vectors).all():
                return vectors
        except (ImportError, MemoryError):
            raise
        except Exception as error:  # whatever the kind's own code raises
            cause, reason = error, str(error)
        if len(values) == 1:
            raise DataError(
                f"{columns}: '{values[0]!s:.40}' cannot be encoded: {reason}. Correct it in the table, or leave it"
                f" empty. (The rule in entailment/inputs/{self.name}.py lets it through.)"
            ) from cause
        for value in values:
            self._finite_vectors([value])
        raise DataError(
            f"{columns}: {len(values)} values cannot be encoded together: {reason}. Each by itself can: correct"
            f" `vectors` in entailment/inputs/{self.name}.py."
        ) from cause

    def trained_channel(self, config: "InputsConfiguration", folder: Path) -> TrainedChannel:
        """The same with an encoder that is trained. Raises ConfigurationError where it cannot be."""
        from ..errors import ConfigurationError

        raise ConfigurationError(
            f"encoders.{self.name}.trainable: its encoder cannot be trained. Set it to 0."
        )

    def settings(self, config: "InputsConfiguration") -> dict[str, Any]:
        """What a registered model must know of the configuration, as JSON."""
        return {}

    def server(self, folder: Path, settings: Mapping[str, Any]) -> Served:
        """The kind in the registered model whose package is in `folder`."""
        return _ServedTexts(folder, settings, self)

    def limit(self, config: Mapping[str, Any]) -> str:
        """What a model card says of what the model cannot see in it, "" for nothing; `config` has dotted keys."""
        return ""


def kind_in(module: ModuleType) -> Kind:
    """The kind that a file of this folder defines, called as the file is."""
    classes = [
        thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, Kind)
    ]
    (found,) = (thing for thing in classes if thing.__module__ == module.__name__)
    return found(module.__name__.rpartition(".")[2])


def as_text(value: Any) -> tuple[str, str]:
    """A raw value as a text that UTF-8 can hold, and why it is none. Bytes are UTF-8, None is the empty text.

    >>> as_text(7), as_text([7])
    (('7', ''), ('', 'must be a text. Received: list'))
    """
    if value is None:
        return "", ""
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        if "\0" in value and not re.fullmatch(BLANK, value):
            return "", "must hold no NUL character"
        # JSON lets half of a surrogate pair through.
        return value.encode("utf-8", "replace").decode(), ""
    if not isinstance(value, Number):
        return "", f"must be a text. Received: {type(value).__name__}"
    try:
        return str(value), ""
    except ValueError:
        return "", "must be a text. Received: a number of more digits than can be written"


class _OwnFile:
    """The encoder of a kind that computes its vectors itself: known by its file."""

    def __init__(self, kind: Kind) -> None:
        file = Path(inspect.getfile(type(kind)))
        self._kind, self.handle = kind, file.name
        self.fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()

    @cached_property
    def width(self) -> int:
        """That of the example's vector."""
        return int(self._kind.vectors([self._kind.example]).shape[1])


class _ServedTexts(Served):
    """Texts that follow the rule of their kind."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], kind: Kind) -> None:
        super().__init__(folder, settings)
        self._kind = kind

    def values(self, raw: Sequence[Any]) -> tuple[list[Any], list[str]]:
        pattern, what = self._kind.rule
        texts, faults = zip(*map(as_text, raw), strict=True) if raw else ((), ())
        against = ["" if not text or re.fullmatch(pattern, text) else f"must be {what}" for text in texts]
        return [text or None for text in texts], [
            one or two for one, two in zip(faults, against, strict=True)
        ]

    def load(self) -> "Callable[[list[Any]], np.ndarray]":
        return self._kind.vectors
