"""Texts, alone or packed in pairs, to vectors: an encoder and its preprocessor, modules of the TF-Hub form."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from entailment.encoders.handles import (
    fingerprint,
    fingerprint_of,
    load_module,
    output_width,
    resolve_handle,
)
from entailment.files import read_json

if TYPE_CHECKING:
    import tensorflow as tf

STEP = 8
TOKENS = 2048
WINDOW = 8192
METHOD = f"text 1: lengths in steps of {STEP}, {TOKENS} tokens a batch, sorted within {WINDOW} texts, float32"
"""How texts are brought to the module; part of the fingerprint, because it decides the last bits of a vector.

A text's length in the batch follows from the text alone. Measured on 2 cores with AVX-512, 512 tweets: 17 ms of
processor time a text, 85 % of the matrix-multiply peak. XLA was no faster on these graphs and compiles anew for
each length; longer steps pad more, larger batches leave the processor's cache, larger windows hold more memory.
"""


class TextPacker:
    """A preprocessor: texts to token ids of a fixed length.

    `preprocessor` is a handle (see `resolve_handle`), `folder` is where built and downloaded modules are kept,
    `sequence_length` the number of tokens that a text, or a pair, is cut to. `path` is the module's folder.
    """

    def __init__(self, preprocessor: str, folder: Path, sequence_length: int = 128) -> None:
        """Finds (or builds, or downloads) and loads the module; raises EncoderError when it cannot."""
        self.path = resolve_handle(preprocessor, folder)
        self.sequence_length = sequence_length
        self._module = load_module(self.path)

    def pack(
        self, texts_1: Sequence[str], texts_2: Sequence[str] | None = None, length: int | None = None
    ) -> "dict[str, tf.Tensor]":
        """`input_word_ids`, `input_mask` and `input_type_ids` of the texts, or of the pairs, int32 [n, length].

        `length` is `sequence_length` if not given; both texts of a pair are cut in turn until they fit.
        """
        import tensorflow as tf

        tokens = []
        for texts in [texts_1] if texts_2 is None else [texts_1, texts_2]:
            # JSON lets half of a surrogate pair through, which UTF-8 cannot hold.
            encoded = [text.encode("utf-8", "replace") for text in texts]
            tokens.append(self._module.tokenize(tf.constant(encoded, tf.string)))
        seq_length = tf.constant(length or self.sequence_length)
        packed: dict[str, tf.Tensor] = self._module.bert_pack_inputs(tokens, seq_length=seq_length)
        return packed


class TextEncoder:
    """Frozen text encoder.

    `encoder` and `preprocessor` are handles (see `resolve_handle`), `folder` is where built and downloaded modules
    are kept, `sequence_length` is the number of tokens that a text, or a pair, is cut to, and `output` is the key
    of the module's output that is used. `width` is the length of a vector; `fingerprint` changes whenever the
    vectors could. Raises EncoderError when a module cannot be found, loaded or called.
    """

    def __init__(
        self,
        encoder: str,
        preprocessor: str,
        folder: Path,
        sequence_length: int = 128,
        output: str = "pooled_output",
    ) -> None:
        """Finds (or builds, or downloads) and loads both modules, and tries them on an empty text."""
        self.handle = encoder
        path = resolve_handle(encoder, folder)
        self._packer = TextPacker(preprocessor, folder, sequence_length)
        self.pack = self._packer.pack
        self.sequence_length = sequence_length
        self.output = output
        self._module = load_module(path)
        described = path / "module.json"
        # A module of other origin may take one length only.
        self._any_length = described.is_file() and bool(read_json(described).get("any_length"))
        self.width = output_width(path, lambda: self._module(self.pack([""]))[output])
        self.fingerprint = fingerprint_of(
            encoder=fingerprint(path),
            preprocessor=fingerprint(self._packer.path),
            sequence_length=sequence_length,
            output=output,
            method=METHOD,
        )

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """The vector of each text alone, float32 [n, width], in the order of `texts`."""
        return self._encode(texts, None, progress)

    def encode_pairs(
        self, texts_1: Sequence[str], texts_2: Sequence[str], progress: bool = False
    ) -> np.ndarray:
        """The vector of each pair of texts, packed as one input, float32 [n, width], in their order."""
        return self._encode(texts_1, texts_2, progress)

    def _encode(self, texts_1: Sequence[str], texts_2: Sequence[str] | None, progress: bool) -> np.ndarray:
        from tqdm import tqdm

        vectors = np.empty((len(texts_1), self.width), np.float32)
        with tqdm(total=len(vectors), desc="texts", unit="text", disable=not progress) as bar:
            for start in range(0, len(vectors), WINDOW):
                window = slice(start, start + WINDOW)
                packed = self.pack(texts_1[window], None if texts_2 is None else texts_2[window])
                for rows, inputs in self._batches({name: ids.numpy() for name, ids in packed.items()}):
                    vectors[start + rows] = self._module(inputs)[self.output].numpy()
                    bar.update(len(rows))
        return vectors

    def _batches(self, packed: dict[str, np.ndarray]) -> "Iterator[tuple[np.ndarray, dict[str, tf.Tensor]]]":
        """Rows of similar length and their inputs, without the columns that hold only padding."""
        import tensorflow as tf

        used = packed["input_mask"].sum(axis=1)
        steps = np.minimum(-(-used // STEP) * STEP, self.sequence_length)
        if not self._any_length:
            steps[:] = self.sequence_length
        # The longest first: what runs out of memory does so at once.
        for length in np.unique(steps)[::-1]:
            rows = np.flatnonzero(steps == length)
            size = max(1, TOKENS // int(length))
            for batch in np.split(rows, range(size, len(rows), size)):
                yield batch, {name: tf.constant(ids[batch, :length]) for name, ids in packed.items()}
