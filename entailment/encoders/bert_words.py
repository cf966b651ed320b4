"""What BERT's uncased tokenizer (Devlin et al., 2018) does before it looks into its vocabulary, in TensorFlow.

tensorflow-text's own tokenizers fold what looks alike (NFKC: "™" to "tm", "½" to "1/2"), which the published one
keeps apart, and `tf.strings.lower` follows the machine's locale: hence a table of our own. It is that of Unicode 14
whatever Python makes it.
"""

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import tensorflow as tf

LONGEST_WORD: Final = 200
"""Characters; a longer word is unknown."""
_UNKNOWN: Final = "\ufffd"
"""In no vocabulary: the published tokenizer removes it from texts."""
_IDEOGRAPHS: Final = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_LATER: Final = frozenset(
    code
    for first, last in (
        (0xCF3, 0xCF3),
        (0xECE, 0xECE),
        (0x2FFC, 0x2FFF),
        (0x31EF, 0x31EF),
        (0x10EFD, 0x10EFF),
        (0x1123F, 0x11241),
        (0x11B00, 0x11B09),
        (0x11F00, 0x11F10),
        (0x11F12, 0x11F3A),
        (0x11F3E, 0x11F59),
        (0x1342F, 0x1342F),
        (0x13439, 0x13455),
        (0x1B132, 0x1B132),
        (0x1B155, 0x1B155),
        (0x1D2C0, 0x1D2D3),
        (0x1DF25, 0x1DF2A),
        (0x1E030, 0x1E06D),
        (0x1E08F, 0x1E08F),
        (0x1E4D0, 0x1E4F9),
        (0x1F6DC, 0x1F6DC),
        (0x1F774, 0x1F776),
        (0x1F77B, 0x1F77F),
        (0x1F7D9, 0x1F7D9),
        (0x1FA75, 0x1FA77),
        (0x1FA87, 0x1FA88),
        (0x1FAAD, 0x1FAAF),
        (0x1FABB, 0x1FABD),
        (0x1FABF, 0x1FABF),
        (0x1FACE, 0x1FACF),
        (0x1FADA, 0x1FADB),
        (0x1FAE8, 0x1FAE8),
        (0x1FAF7, 0x1FAF8),
        (0x2B739, 0x2B739),
        (0x2EBF0, 0x2EE5D),
        (0x31350, 0x323AF),
    )
    for code in range(first, last + 1)
)
"""Assigned after Unicode 14, which Python 3.11 has, up to 15.1, which 3.13 has; of the others nothing has changed."""
_CASED: Final = r"\p{Lu}\p{Ll}\p{Lt}"
_BETWEEN: Final = r"\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'’.:·"
"""What does not end a word for the rule of the final sigma (Unicode: case-ignorable)."""
_FINAL_SIGMA: Final = f"([{_CASED}][{_BETWEEN}]*)Σ([{_BETWEEN}]*(?:[^{_CASED}{_BETWEEN}]|$))"


def bert_words(texts: "tf.Tensor") -> "tf.Tensor":
    """Texts [n], UTF-8, as their words with blanks between, for a WordPiece tokenizer that splits at blanks.

    Lower case, without accents; each punctuation mark and each ideograph is a word.

    >>> bert_words(tf.constant(["Café №5, ½!"])).numpy()[0].decode().split()
    ['cafe', '№5', ',', '½', '!']
    """
    import tensorflow as tf

    table = tf.RaggedTensor.from_row_splits(*_table(), validate=False)
    lowered = tf.strings.regex_replace(texts, _FINAL_SIGMA, r"\1ς\2")  # one character does not tell
    codes = tf.strings.unicode_decode(lowered, "UTF-8").with_row_splits_dtype(tf.int32)
    words = tf.strings.unicode_encode(tf.gather(table, codes).merge_dims(1, 2), "UTF-8")
    return tf.strings.regex_replace(words, f"[^ ]{{{LONGEST_WORD + 1},}}", _UNKNOWN)


@cache
def _table() -> tuple[Any, Any]:
    """What becomes of each character of Unicode: code points one after another, and where each one's begin; int32."""
    import numpy as np

    becomes = [_normalized(chr(code)) for code in range(0x110000)]
    characters = np.frombuffer("".join(becomes).encode("utf-32-le"), np.int32)
    return characters, np.cumsum([0, *map(len, becomes)], dtype=np.int32)


def _normalized(character: str) -> str:
    category = _category(character)
    if category in ("Cn", "Co"):  # TensorFlow has a Unicode of its own, which may split there
        return f" {_UNKNOWN} " if _stands_alone(character) else _UNKNOWN
    if character in "\t\n\r" or (character.isspace() and category != "Cc"):
        return " "
    if category in ("Cc", "Cf", "Cs") or character == "\ufffd":
        return ""
    decomposed = unicodedata.normalize("NFD", character.lower())
    kept = [part for part in decomposed if _category(part) != "Mn"]
    return "".join(f" {part} " if _stands_alone(part) else part for part in kept)


def _category(character: str) -> str:
    return "Cn" if ord(character) in _LATER else unicodedata.category(character)


def _stands_alone(character: str) -> bool:
    code = ord(character)
    punctuation = _category(character).startswith("P") or (code < 128 and not character.isalnum())
    return punctuation or any(first <= code <= last for first, last in _IDEOGRAPHS)
