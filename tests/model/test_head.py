"""The head: its shape, its masks, and that it survives saving."""

import numpy as np
import pytest

from entailment.configuration import Head
from entailment.errors import DataError
from entailment.model.head import build_head, load_head

TEXTS = {"text_1": 6, "text_1_present": 1, "text_2": 6, "text_2_present": 1}
IMAGES = {"image_1": 10, "image_1_present": 1, "image_2": 10, "image_2_present": 1}
PACKED = {"text": 6, "text_present": 1}


def batch(widths, rows=4, seed=0):
    random = np.random.default_rng(seed)
    return {
        name: np.ones((rows, 1), np.float32)
        if name.endswith("_present")
        else random.normal(size=(rows, width)).astype(np.float32)
        for name, width in widths.items()
    }


@pytest.mark.parametrize("widths", [TEXTS, IMAGES, TEXTS | IMAGES, PACKED, PACKED | IMAGES])
@pytest.mark.parametrize("pair_features", [True, False])
def test_probabilities_and_a_round_trip(tmp_path, widths, pair_features):
    model = build_head(widths, Head(pair_features=pair_features, projection_units=8))
    inputs = batch(widths)
    answers = model.predict(inputs, verbose=0)
    assert answers.shape == (4, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "head.keras")
    np.testing.assert_array_equal(load_head(tmp_path / "head.keras").predict(inputs, verbose=0), answers)


def test_the_projection_is_the_example_s():
    model = build_head(IMAGES, Head(pair_features=False, projection_layers=2, projection_units=8))
    kinds = [
        type(layer).__name__
        for layer in model.layers
        if not layer.name.endswith(("_1_present", "_2_present"))
    ]
    block = ["Activation", "Dense", "Dropout", "Add", "LayerNormalization"]
    assert kinds == ["InputLayer", "InputLayer", "Concatenate", "Dense", *block, *block, "Dense", "Softmax"]


def test_parameters_count_what_the_options_say():
    def count(**options):
        return build_head(TEXTS, Head(projection_units=8, **options)).count_params()

    assert count(pair_features=True) - count(pair_features=False) == 2 * 6 * 8
    assert count(projection_layers=3) - count(projection_layers=2) == 8 * 8 + 8 + 2 * 8


def test_pair_features_are_what_their_name_says():
    from entailment.model.layers import PairFeatures

    u, v = np.array([[1.0, -2.0]], np.float32), np.array([[3.0, 5.0]], np.float32)
    one, zero = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    layer = PairFeatures()
    assert layer([u, v, one, one]).numpy().tolist() == [[1, -2, 3, 5, 2, 7, 3, -10]]
    assert layer([u, v, one, zero]).numpy().tolist() == [[1, -2, 3, 5, 0, 0, 0, 0]]


def test_what_is_no_head_is_named(tmp_path):
    (tmp_path / "head.keras").write_bytes(b"no zip file")
    with pytest.raises(DataError, match=r"head\.keras is not a trained head"):
        load_head(tmp_path / "head.keras")
