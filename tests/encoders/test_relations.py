from string import ascii_lowercase

import numpy as np

from entailment.data import text_relations
from entailment.encoders import relations
from entailment.encoders.relations import BUCKETS, MOST_WORDS, RelationWords, TextRelations


def test_numbers_are_those_of_each_pair():
    vectors = TextRelations().encode_pairs(["a b", "x"], ["a b", "y z"])
    assert vectors.shape == (2, TextRelations.width) and vectors.dtype == np.float32
    assert vectors[1].tolist() == np.float32(list(text_relations.relations("x", "y z").values())).tolist()
    assert TextRelations().encode_pairs([], []).shape == (0, TextRelations.width)


def test_words_become_signed_numbers_that_stay_what_they_are():
    numbers = RelationWords().encode_pairs(["hello", ""], ["hello", ""])
    assert numbers.shape == (2, MOST_WORDS)
    assert numbers[0, :3].tolist() == [-704.0, -2892.0, 0.0]
    assert not numbers[1].any()
    many = RelationWords().encode_pairs(
        [" ".join(a + b for a in ascii_lowercase for b in "abcdefghijk")], ["x"]
    )
    assert (many != 0).all() and np.abs(many).max() <= BUCKETS


def test_the_fingerprint_follows_the_code(monkeypatch, tmp_path):
    before = TextRelations().fingerprint, RelationWords().fingerprint
    assert before[0] != before[1]
    changed = tmp_path / "text_relations.py"
    changed.write_text("other")
    monkeypatch.setattr(relations.text_relations, "__file__", str(changed))
    after = TextRelations().fingerprint, RelationWords().fingerprint
    assert not set(before) & set(after)
