"""Texts, alone or packed in pairs, to vectors: an encoder and its preprocessor, modules of the TF-Hub form."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from entailment.encoders.handles import (
    fingerprint,
    fingerprint_of,
    load_module,
    output_width,
    resolve_handle,
)
from entailment.errors import EncoderError
from entailment.files import read_json
from entailment.progress import progress_bar

if TYPE_CHECKING:
    import tensorflow as tf

TOKENS = 768
STEP: Final = 8
WHOLE: Final = 24
WINDOW = 8192
STRINGS: Final = 32
"""Texts in a batch of a module that takes strings."""
IN_FLIGHT: Final = 2
"""Batches that TensorFlow is given at a time: one fills the gaps of the other."""
METHOD = f"text 3: lengths in steps of {STEP}, only one in a batch, {TOKENS} tokens a batch, filled to whole {WHOLE}"
"""How texts are brought to the module; part of the fingerprint, because it decides the last bits of a vector.

A vector must not depend on what shares its batch, or features would differ by what the store held before. A product
of matrices rounds by its number of rows, which are tokens here: it is computed six rows at a time, halved for two
threads, what remains goes another way, and from about 830 rows on the sums are cut elsewhere (seen with AVX2). So
batches are of whole multiples of 24 tokens, and of one length. XLA was no faster on these graphs and compiles anew
for each length. Larger windows hold more memory.
"""


class TextPacker:
    """A preprocessor: texts to token ids of a fixed length.

    `preprocessor` is a handle (see `resolve_handle`), `folder` is where built and downloaded modules are kept,
    `sequence_length` the number of tokens that a text, or a pair, is cut to. `path` is the module's folder. It is
    loaded when it is first used. Raises EncoderError when it cannot be found, built, downloaded or loaded.
    """

    def __init__(self, preprocessor: str, folder: Path, sequence_length: int = 128) -> None:
        """Finds (or builds, or downloads) the module."""
        self.path = resolve_handle(preprocessor, folder)
        self.sequence_length = sequence_length

    @cached_property
    def _module(self) -> Any:
        return load_module(self.path)

    def pack(
        self, texts_1: Sequence[str], texts_2: Sequence[str] | None = None, length: int | None = None
    ) -> "dict[str, tf.Tensor]":
        """`input_word_ids`, `input_mask` and `input_type_ids` of the texts, or of the pairs, int32 [n, length].

        `length` is `sequence_length` if not given; both texts of a pair are cut in turn until they fit.
        """
        import tensorflow as tf

        sides = [texts_1] if texts_2 is None else [texts_1, texts_2]
        # JSON lets half of a surrogate pair through, which UTF-8 cannot hold.
        encoded = [[text.encode("utf-8", "replace") for text in texts] for texts in sides]
        return self.packed([tf.constant(texts, tf.string) for texts in encoded], length)

    def packed(self, texts: "Sequence[tf.Tensor]", length: int | None = None) -> "dict[str, tf.Tensor]":
        """The same for one or two tensors of UTF-8 strings [n], also inside a graph."""
        import tensorflow as tf

        tokens = [self._module.tokenize(side) for side in texts]
        seq_length = tf.constant(length or self.sequence_length)
        ids: dict[str, tf.Tensor] = self._module.bert_pack_inputs(tokens, seq_length=seq_length)
        return ids


class TextEncoder:
    """Frozen text encoder.

    `encoder` and `preprocessor` are handles (see `resolve_handle`), `folder` is where built and downloaded modules
    are kept, `sequence_length` is the number of tokens that a text, or a pair, is cut to, `output` is the key of the
    module's output that is used. `fingerprint` changes whenever a vector could. The modules are loaded when they are
    first used: all features may be stored. Raises EncoderError when one cannot be found, loaded or called.
    """

    def __init__(
        self,
        encoder: str,
        preprocessor: str,
        folder: Path,
        sequence_length: int = 128,
        output: str = "pooled_output",
    ) -> None:
        """Finds (or builds, or downloads) both modules."""
        self.handle = encoder
        self._path = resolve_handle(encoder, folder)
        self._packer = TextPacker(preprocessor, folder, sequence_length)
        self.pack = self._packer.pack
        self.sequence_length = sequence_length
        self.output = output
        described = self._path / "module.json"
        # A module of other origin may take one length only.
        self._any_length = described.is_file() and bool(read_json(described).get("any_length"))
        self.fingerprint = fingerprint_of(
            encoder=fingerprint(self._path),
            preprocessor=fingerprint(self._packer.path),
            sequence_length=sequence_length,
            output=output,
            method=METHOD,
        )

    @cached_property
    def width(self) -> int:
        """That of a text's vector: the modules are tried on an empty text."""
        return output_width(self._path, lambda: self._vectors(self.pack([""])))

    @cached_property
    def _module(self) -> Any:
        return load_module(self._path)

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """The vector of each text alone, float32 [n, width], in the order of `texts`.

        To the last bit it is the same whatever the other texts are.
        """
        return self._encode(texts, None, progress)

    def encode_pairs(
        self, texts_1: Sequence[str], texts_2: Sequence[str], progress: bool = False
    ) -> np.ndarray:
        """The vector of each pair of texts, packed as one input, float32 [n, width], in their order; as `encode`."""
        return self._encode(texts_1, texts_2, progress)

    def _encode(self, texts_1: Sequence[str], texts_2: Sequence[str] | None, progress: bool) -> np.ndarray:
        vectors = np.empty((len(texts_1), self.width), np.float32)
        with (
            progress_bar(len(vectors), unit="text", what="texts", shown=progress) as bar,
            ThreadPoolExecutor(IN_FLIGHT) as pool,
        ):
            for start in range(0, len(vectors), WINDOW):
                window = slice(start, start + WINDOW)
                packed = self.pack(texts_1[window], None if texts_2 is None else texts_2[window])
                batches = self._batches({name: ids.numpy() for name, ids in packed.items()})
                rows, inputs = zip(*batches, strict=True)
                for places, encoded in zip(rows, pool.map(self._vectors, inputs), strict=True):
                    vectors[start + places] = encoded[: len(places)]
                    bar.update(len(places))
        return vectors

    def _vectors(self, inputs: "Mapping[str, np.ndarray | tf.Tensor]") -> np.ndarray:
        import tensorflow as tf

        outputs = self._module({name: tf.constant(ids) for name, ids in inputs.items()})
        vectors: np.ndarray = outputs[self.output].numpy()
        return vectors

    def _batches(self, packed: dict[str, np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Rows of one length and their inputs, filled with repetitions of the rows."""
        used = packed["input_mask"].sum(axis=1)
        whole = np.full_like(used, self.sequence_length)
        lengths = np.minimum(-(-used // STEP) * STEP, whole) if self._any_length else whole
        # The longest first: what runs out of memory does so at once.
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            length = int(lengths[order[start]])
            step = WHOLE // gcd(WHOLE, length)
            rows = order[start : start + max(1, TOKENS // length // step) * step]
            rows = rows[lengths[rows] == length]
            filled = np.resize(rows, -(-len(rows) // step) * step)
            yield rows, {name: ids[filled, :length] for name, ids in packed.items()}
            start += len(rows)


class StringEncoder:
    """Frozen text encoder that takes strings itself: a module of the TF-Hub form without a preprocessor.

    Arguments and errors are as of `TextEncoder`; `output` is used where the module gives several.
    """

    def __init__(self, encoder: str, folder: Path, output: str = "pooled_output") -> None:
        """Finds (or builds, or downloads) the module."""
        self.handle, self._output = encoder, output
        self._path = resolve_handle(encoder, folder)
        self.fingerprint = fingerprint_of(
            encoder=fingerprint(self._path), output=output, method=f"strings 1: {STRINGS} a batch, filled"
        )

    @cached_property
    def width(self) -> int:
        """That of a text's vector: the module is tried on an empty text, and on a short one beside a long one."""
        width = output_width(self._path, lambda: self._vectors([b""]))
        short = b"a word"
        if not np.allclose(self._vectors([short])[0], self._vectors([short, short * 50])[0], atol=1e-4):
            raise EncoderError(
                f"{self._path}: the module gives a text another vector when a longer text shares its batch, so no"
                " vector could be kept. Name another encoder, or one that masks its padding."
            )
        return width

    @cached_property
    def _module(self) -> Any:
        return load_module(self._path)

    def encode(self, texts: Sequence[str], progress: bool = False) -> np.ndarray:
        """The vector of each text, float32 [n, width], in the order of `texts`."""
        vectors = np.empty((len(texts), self.width), np.float32)
        encoded = [text.encode("utf-8", "replace") for text in texts]
        with progress_bar(len(texts), unit="text", what="texts", shown=progress) as bar:
            for start in range(0, len(texts), STRINGS):
                batch = encoded[start : start + STRINGS]
                # Always as many rows: what a text's vector is must not depend on how many are asked for.
                filled = [batch[place % len(batch)] for place in range(STRINGS)]
                vectors[start : start + STRINGS] = self._vectors(filled)[: len(batch)]
                bar.update(len(batch))
        return vectors

    def _vectors(self, texts: Sequence[bytes]) -> np.ndarray:
        import tensorflow as tf

        outputs = self._module(tf.constant(texts, tf.string))
        vectors: np.ndarray = (outputs[self._output] if isinstance(outputs, Mapping) else outputs).numpy()
        return vectors
