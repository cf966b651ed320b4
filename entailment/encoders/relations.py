"""Encoders of pairs of texts that need no weights: numbers on how they relate, and their words, hashed."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from entailment.data import text_relations
from entailment.encoders.handles import fingerprint_of
from entailment.files import sha256_of_file

RELATIONS: Final = "text_relations"
WORDS: Final = "text_words"
"""Names of the two as inputs of a head."""
BUCKETS: Final = 8192
"""Numbers that words are hashed to."""
MOST_WORDS: Final = 256
"""Words of a pair that are kept: those of two posts, and more than enough."""


class TextRelations:
    """Numbers on how two texts relate (`text_relations.relations`), a vector for each pair."""

    handle: Final = "relations"
    width: Final = len(text_relations.NAMES)
    shape: Final = (width,)

    @property
    def fingerprint(self) -> str:
        """Changes with the code that makes the vectors."""
        return fingerprint_of(relations=_code(text_relations))

    def encode_pairs(
        self, texts_1: Sequence[str], texts_2: Sequence[str], progress: bool = False
    ) -> np.ndarray:
        """float32 [n, width]."""
        found = [text_relations.relations(*pair) for pair in zip(texts_1, texts_2, strict=True)]
        return np.array([list(row.values()) for row in found], np.float32).reshape(-1, self.width)


class RelationWords:
    """The words of a pair (`text_relations.relation_words`) as numbers: a row of them for each pair.

    A word is a number from 1 to BUCKETS with a sign, both of its CRC-32 (the hashing trick with signs, Weinberger et
    al., Feature hashing for large scale multitask learning, 2009); 0 fills up.
    """

    handle: Final = "words"
    width: Final = MOST_WORDS
    shape: Final = (width,)

    @property
    def fingerprint(self) -> str:
        """Changes with the code that makes the numbers."""
        return fingerprint_of(words=_code(text_relations), numbers=sha256_of_file(Path(__file__)))

    def encode_pairs(
        self, texts_1: Sequence[str], texts_2: Sequence[str], progress: bool = False
    ) -> np.ndarray:
        """float32 [n, MOST_WORDS]."""
        numbers = np.zeros((len(texts_1), MOST_WORDS), np.float32)
        for row, pair in enumerate(zip(texts_1, texts_2, strict=True)):
            words = text_relations.relation_words(*pair)[:MOST_WORDS]
            numbers[row, : len(words)] = [_signed_bucket(word) for word in words]
        return numbers


def _code(module: ModuleType) -> str:
    return sha256_of_file(Path(str(module.__file__)))


def _signed_bucket(word: str) -> int:
    code = zlib.crc32(word.encode("utf-8", "replace"))
    return (code % BUCKETS + 1) * (1 if code >> 31 else -1)
