import numpy as np
import pytest

from entailment.errors import DataError
from entailment.inputs.kind import Kind, as_text


class Lengths(Kind):
    plural = "lengths"
    example = "1"

    def vectors(self, values):
        return np.array([[self.number(value)] for value in values], np.float32)


@pytest.mark.parametrize("number", [float, int])
def test_a_value_of_which_no_finite_vector_can_be_made_is_named(monkeypatch, number):
    monkeypatch.setattr(Lengths, "number", staticmethod(number), raising=False)
    encode = Lengths("lengths").channel(None, None).encode
    assert encode(["1", "2"], False).tolist() == [[1], [2]]
    with pytest.raises(
        DataError, match=r"lengths_1 or lengths_2: '9{40}' cannot be encoded: .+leave it empty"
    ):
        encode(["1", "9" * 309, "2"], False)


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (
            ValueError,
            DataError,
            "lengths_1 or lengths_2: 2 values cannot be encoded together: too many.*by itself",
        ),
        (MemoryError, MemoryError, "too many"),
    ],
)
def test_no_value_is_blamed_for_what_only_a_batch_fails_in(error, raised, said, monkeypatch):
    def vectors(_, values):
        if len(values) > 1:
            raise error("too many")
        return np.ones((1, 1), np.float32)

    monkeypatch.setattr(Lengths, "vectors", vectors)
    with pytest.raises(raised, match=said):
        Lengths("lengths").channel(None, None).encode(["1", "2"], False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a\ud800", "a?"),
        (b"caf\xc3\xa9", "café"),
        (bytearray(b"\xff"), "\ufffd"),
        (7, "7"),
        (1.5, "1.5"),
        ("\0 ", "\0 "),  # in which nothing is to be seen
        ("\x1b[31m\x85", "\x1b[31m\x85"),
    ],
)
def test_values_that_are_texts(value, text):
    assert as_text(value) == (text, "")


@pytest.mark.parametrize("value", ["a\0", b"a\0"])
def test_a_text_with_nul_is_none(value):
    assert as_text(value) == ("", "must hold no NUL character")
