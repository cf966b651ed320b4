"""The featurizer: each distinct input once, absent inputs zero, order kept."""

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.loading import load_configuration
from entailment.inputs.image import image_channel
from entailment.inputs.text import text_channel
from entailment.model.features import Featurizer, SplitFeatures, _index_of, configured_featurizer
from entailment.records.reading import Row
from tests.encoders.random_modules import write_random_modules

ENCODERS = {"text.encoder": "text", "text.preprocessor": "preprocessor", "image.encoder": "image"}


class Texts:
    handle, fingerprint, width, shape = "texts", "t" * 64, 2, (2,)

    def __init__(self):
        self.seen = []

    def encode(self, texts, progress=False):
        self.seen += texts
        return np.array([[len(text), 1] for text in texts], np.float32)

    def encode_pairs(self, first, second, progress=False):
        self.seen += list(zip(first, second, strict=True))
        return np.array([[len(a), len(b)] for a, b in zip(first, second, strict=True)], np.float32)


class Images:
    handle, fingerprint, width, shape, size = "images", "i" * 64, 1, (1,), 4

    def __init__(self):
        self.seen = []

    def encode(self, images, progress=False):
        self.seen += [int(image.mean()) for image in images]
        return images.reshape(len(images), -1).mean(axis=1, keepdims=True).astype(np.float32)


def image(value):
    return np.full((4, 4, 3), value, np.uint8)


ROWS = [
    Row(("1", "2"), {"text": ("aa", "b"), "image": (image(1), image(2))}, 0),
    Row(("3", "4"), {"text": ("b", "aa"), "image": (image(2), None)}, 1),
    Row(("5", "6"), {"text": ("", "cccc"), "image": (None, None)}, 2),
]


def test_each_distinct_input_is_encoded_once_ever(tmp_path):
    texts, images = Texts(), Images()
    for _ in range(2):
        featurizer = Featurizer([text_channel(texts), image_channel(images)], store=tmp_path)
        featurizer.rows(ROWS)
        featurizer.rows(ROWS[::-1])
    assert sorted(texts.seen) == ["aa", "b", "cccc"]
    assert sorted(images.seen) == [1, 2]


def test_no_encoder_is_loaded_where_all_is_stored(tmp_path, monkeypatch):
    random_modules = write_random_modules(tmp_path / "modules")
    settings = {f"encoders.{key}": random_modules[role] for key, role in ENCODERS.items()}
    overrides = settings | {"encoders.text.sequence_length": 16, "images.size": 32}
    config = load_configuration(None, overrides=overrides)
    rows = [Row(("1", "2"), {"text": ("aa", "b"), "image": (np.full((32, 32, 3), 9, np.uint8), None)}, 0)]

    def features():
        return configured_featurizer(config, tmp_path / "none", tmp_path / "features").rows(rows)

    first = features()
    monkeypatch.setattr("entailment.encoders.text.load_module", None)
    monkeypatch.setattr("entailment.encoders.image.load_module", None)
    again = features()
    assert all((again[name] == column).all() for name, column in first.items())


def test_another_encoder_shares_nothing(tmp_path):
    other = Texts()
    other.fingerprint = "u" * 64
    for texts in (Texts(), other):
        Featurizer([text_channel(texts)], store=tmp_path).rows(ROWS)
    assert len(other.seen) == 3


def test_inputs_are_in_order_and_absent_ones_zero(tmp_path):
    inputs = Featurizer([text_channel(Texts()), image_channel(Images())], store=tmp_path).rows(ROWS)
    assert inputs["text_1"].tolist() == [[2, 1], [1, 1], [0, 0]]
    assert inputs["text_2"].tolist() == [[1, 1], [2, 1], [4, 1]]
    assert inputs["text_1_present"].tolist() == [[1], [1], [0]]
    assert inputs["image_1"].tolist() == [[1], [2], [0]]
    assert inputs["image_2_present"].tolist() == [[1], [0], [0]]
    assert all(array.dtype == np.float32 for array in inputs.values())


@pytest.mark.parametrize("stored", [True, False])
def test_pairs_are_packed_and_their_order_matters(tmp_path, stored):
    texts = Texts()
    inputs = Featurizer([text_channel(texts, pair=True)], store=tmp_path if stored else None).rows(ROWS)
    assert texts.seen == [("aa", "b"), ("b", "aa")]
    assert inputs["text"].tolist() == [[2, 1], [1, 2], [0, 0]]
    assert set(inputs) == {"text", "text_present"}


@pytest.mark.parametrize("stored", [True, False])
def test_selected_rows_are_those_rows_in_that_order(tmp_path, stored):
    featurizer = Featurizer([text_channel(Texts())], store=tmp_path if stored else None)
    inputs = featurizer._inputs(_index_of(ROWS), lambda numbers: [ROWS[n] for n in numbers])
    ids = pd.DataFrame({"id_1": ["1", "3", "5"], "id_2": ["2", "4", "6"]})
    whole = SplitFeatures(inputs, np.array([0, 1, 2]), ids)
    chosen = whole.select(np.array([2, 0]))
    assert chosen.labels.tolist() == [2, 0]
    assert chosen.ids["id_1"].tolist() == ["5", "1"] and chosen.ids.index.tolist() == [0, 1]
    for name, column in chosen.inputs.items():
        assert column.shape == (2, whole.inputs[name].shape[1])
        assert (column[:] == whole.inputs[name][:][[2, 0]]).all()
    assert (chosen.select(np.array([1])).take(slice(0, 1))["text_2"] == whole.inputs["text_2"][:][:1]).all()
