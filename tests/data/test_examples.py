"""Serialized examples: byte for byte what Protocol Buffers write."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from entailment.data.examples import serialized_examples

names = st.text("abc1", max_size=200).map(lambda name: name + "_")  # none begins with another
numbers = st.integers(0, 2**63 - 1) | st.integers(0, 300)


@st.composite
def tables(draw):
    """Columns of strings and matrices of integers with the same number of rows."""
    rows, width = draw(st.integers(0, 3)), draw(st.integers(1, 70))
    strings, integers = {}, {}
    for name in draw(st.lists(names, unique=True, max_size=4)):
        if draw(st.booleans()):
            strings[name] = [draw(st.binary(max_size=300)) for _ in range(rows)]
        else:
            flat = draw(st.lists(numbers, min_size=rows * width, max_size=rows * width))
            integers[name] = np.array(flat, np.int64).reshape(rows, width)
    return strings, integers


def by_protocol_buffers(strings, integers, row):
    import tensorflow as tf

    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[values[row]]))
        for name, values in strings.items()
    }
    features |= {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=matrix[row].tolist()))
        for name, matrix in integers.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


@settings(deadline=None, max_examples=50)
@given(tables())
def test_the_bytes_are_those_of_protocol_buffers(table):
    strings, integers = table
    written = serialized_examples(strings, integers)
    rows = max((len(values) for values in (*strings.values(), *integers.values())), default=0)
    for row in range(rows):
        assert written[row] == by_protocol_buffers(strings, integers, row)


def test_a_megabyte_is_framed_rightly():
    import tensorflow as tf

    value = bytes(1_000_000)
    (written,) = serialized_examples({"image_1": [value]}, {})
    assert tf.train.Example.FromString(written).features.feature["image_1"].bytes_list.value[0] == value
