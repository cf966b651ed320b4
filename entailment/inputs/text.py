"""Texts: strings in table and records, to vectors by an encoder that has a preprocessor or takes strings itself."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..task import BLANK
from .kind import Channel, Kind, Served, TrainedChannel, as_text

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from entailment.configuration.inputs import InputsConfiguration
    from entailment.encoders.text import TextEncoder

INPUTS_AT_ONCE: Final = 32


def text_channel(encoder: "TextEncoder", *, pair: bool = False) -> Channel:
    """Texts with an encoder that has a preprocessor; `pair` packs both of a row as one input."""
    if not pair:
        return Channel("text", encoder, encoder.encode, "text-each")

    def encode(pairs: Sequence[tuple[str, str]], progress: bool) -> "np.ndarray":
        return encoder.encode_pairs([first for first, _ in pairs], [second for _, second in pairs], progress)

    return Channel("text", encoder, encode, "text-pair", pair=True)


class Text(Kind):
    """A text; the encoder sees each by itself, or both of a row packed as one input, as in the Keras example."""

    plural = "texts"
    optional = False

    def channel(self, config: "InputsConfiguration", folder: Path) -> Channel:
        """With the configured encoder."""
        from entailment.encoders.text import StringEncoder, TextEncoder

        text = config.encoders.text
        if text.preprocessor is None:
            strings = StringEncoder(text.encoder, folder, text.output)
            return Channel(self.name, strings, strings.encode, "text-each")
        modules = text.encoder, text.preprocessor, folder
        encoder = TextEncoder(*modules, text.sequence_length, text.output)
        return text_channel(encoder, pair=text.encode == "pair")

    def trained_channel(self, config: "InputsConfiguration", folder: Path) -> TrainedChannel:
        """With the configured encoder, trained."""
        return _TrainedTexts(config, folder, self.columns)

    def settings(self, config: "InputsConfiguration") -> dict[str, Any]:
        """Limits, and how the encoder is called."""
        text = config.encoders.text
        return {
            "max_text_bytes": config.ingest.max_text_bytes,
            "sequence_length": text.sequence_length,
            "output": text.output,
            "pair": text.encode == "pair",
        }

    def server(self, folder: Path, settings: Mapping[str, Any]) -> Served:
        """Texts as they come."""
        return _ServedTexts(folder, settings)

    def limit(self, config: Mapping[str, Any]) -> str:
        """After how many tokens they are cut, where they are."""
        if config["encoders.text.preprocessor"] is None:
            return ""
        return f"Texts are cut after {config['encoders.text.sequence_length']} tokens."


class _TrainedTexts:
    """Texts in the graph of a training; the encoder sees as many tokens as the longest of a batch has."""

    def __init__(self, config: "InputsConfiguration", folder: Path, columns: tuple[str, str]) -> None:
        from entailment.encoders.text import TextPacker
        from entailment.encoders.trainable import TrainableEncoder

        text, self._columns = config.encoders.text, columns
        self.encoder = TrainableEncoder("encoders.text.trainable", text.encoder, folder, text.trainable)
        self._pair, self._output = text.encode == "pair", text.output
        self._packer = (
            TextPacker(text.preprocessor, folder, text.sequence_length) if text.preprocessor else None
        )

    def given(self, batch: "Mapping[str, tf.Tensor]") -> "tuple[Any, dict[str, tf.Tensor]]":
        """Token ids (or strings) of the pairs, or of both sides one below the other, and which texts are there."""
        import tensorflow as tf

        texts = [batch[name] for name in self._columns]
        there = [tf.strings.length(text) > 0 for text in texts]
        told = {"text": there[0] & there[1]} if self._pair else dict(zip(self._columns, there, strict=True))
        present = {f"{name}_present": tf.cast(here, tf.float32)[:, None] for name, here in told.items()}
        if self._packer is None:
            return tf.concat(texts, axis=0), present
        tokens = self._packer.packed(texts if self._pair else [tf.concat(texts, axis=0)])
        if self.encoder.any_length:
            longest = tf.reduce_max(tf.reduce_sum(tokens["input_mask"], axis=1))
            tokens = {name: ids[:, :longest] for name, ids in tokens.items()}
        return tokens, present

    def vectors(self, given: Any) -> "list[tf.Tensor]":
        """Of the pairs, or of both sides."""
        import tensorflow as tf

        vectors = self.encoder.module(given)
        vectors = vectors[self._output] if isinstance(vectors, Mapping) else vectors
        return list(tf.split(vectors, 1 if self._pair else 2))


class _ServedTexts(Served):
    def values(self, raw: Sequence[Any]) -> tuple[list[Any], list[str]]:
        limit = self.settings["max_text_bytes"]
        texts, faults = zip(*map(as_text, raw), strict=True) if raw else ((), ())
        long = [f"longer than {limit} bytes" if len(text.encode()) > limit else "" for text in texts]
        values = [None if re.fullmatch(BLANK, text) else text for text in texts]
        return values, [one or two for one, two in zip(faults, long, strict=True)]

    def load(self) -> "Callable[[list[Any]], np.ndarray]":
        """Those of about one length together."""
        import numpy as np
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  (registers the operations of the preprocessor)

        call = self._loaded()

        def encode(texts: list[Any]) -> "np.ndarray":
            tuples = [text if isinstance(text, tuple) else (text,) for text in texts]
            order = sorted(range(len(texts)), key=lambda place: sum(map(len, tuples[place])))
            vectors: list[Any] = [None] * len(texts)
            for start in range(0, len(order), INPUTS_AT_ONCE):
                places = order[start : start + INPUTS_AT_ONCE]
                sides = zip(*(tuples[place] for place in places), strict=True)
                outputs = call([tf.constant(side, tf.string) for side in sides])
                outputs = outputs[self.settings["output"]] if isinstance(outputs, Mapping) else outputs
                for place, vector in zip(places, outputs.numpy(), strict=True):
                    vectors[place] = vector
            return np.stack(vectors)

        return encode

    def _loaded(self) -> Callable[[Any], Any]:
        """The module, called with strings; token ids of any length are cut to what is used."""
        import tensorflow as tf

        module = tf.saved_model.load(str(self.folder / "text"))
        if not (self.folder / "preprocessor").is_dir():
            return lambda sides: module(sides[0])
        preprocessor = tf.saved_model.load(str(self.folder / "preprocessor"))
        described = self.folder / "text" / "module.json"
        any_length = described.is_file() and bool(json.loads(described.read_text()).get("any_length"))
        length = tf.constant(self.settings["sequence_length"])

        def call(sides: Any) -> Any:
            packed = preprocessor.bert_pack_inputs(
                [preprocessor.tokenize(side) for side in sides], seq_length=length
            )
            if any_length:
                longest = tf.reduce_max(tf.reduce_sum(packed["input_mask"], axis=1))
                packed = {name: ids[:, :longest] for name, ids in packed.items()}
            return module(packed)

        return call
