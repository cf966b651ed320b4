"""The head: its shape, its masks, and that it survives saving."""

import numpy as np
import pytest

from entailment.configuration.head import Head
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
    model = build_head(widths, Head(pair_features=pair_features, projection_units=8), 3)
    inputs = batch(widths)
    answers = model.predict(inputs, verbose=0)
    assert answers.shape == (4, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "head.keras")
    np.testing.assert_array_equal(load_head(tmp_path / "head.keras").predict(inputs, verbose=0), answers)


@pytest.mark.parametrize("options", [{"modality_dropout": 0.4}, {"attention": "cross"}])
def test_variants_survive_a_round_trip(tmp_path, options):
    model = build_head(TEXTS | IMAGES, Head(projection_units=8, **options), 3)
    inputs = batch(TEXTS | IMAGES)
    answers = np.asarray(model(inputs))
    model.save(tmp_path / "head.keras")
    np.testing.assert_array_equal(np.asarray(load_head(tmp_path / "head.keras")(inputs)), answers)


def test_modality_dropout_hides_one_whole_modality_of_some_rows_in_training_alone():
    from entailment.model.layers import ModalityDropout

    rows, layer = 20_000, ModalityDropout(0.3)
    inputs = [[np.ones((rows, width), np.float32) for width in (5, 1)] for _ in range(2)]
    (first, first_present), (second, second_present) = layer(inputs, training=True)
    hidden = [np.asarray(present)[:, 0] == 0 for present in (first_present, second_present)]
    assert not (hidden[0] & hidden[1]).any()
    assert [mask.mean() for mask in hidden] == pytest.approx([0.15, 0.15], abs=0.01)
    for vectors, mask in zip((first, second), hidden, strict=True):
        assert (np.asarray(vectors) == np.where(mask, 0, 1)[:, None]).all()
    assert all((np.asarray(t) == 1).all() for group in layer(inputs, training=False) for t in group)


def test_a_hidden_modality_is_like_an_absent_one():
    model = build_head(TEXTS | IMAGES, Head(projection_units=8, modality_dropout=0.999999), 3)
    inputs = batch(TEXTS | IMAGES)
    absent = {n: array * (not n.startswith("image")) for n, array in inputs.items()}
    other = {n: array * (not n.startswith("text")) for n, array in inputs.items()}
    plain = [np.asarray(model(part)) for part in (absent, other)]
    trained = np.asarray(
        build_without_dropout(model, Head(projection_units=8, modality_dropout=0.999999))(
            inputs, training=True
        )
    )
    assert all(min(abs(row - part[i]).max() for part in plain) < 1e-5 for i, row in enumerate(trained))


def build_without_dropout(model, config):
    """The same weights in a head whose residual blocks drop nothing."""
    other = build_head(TEXTS | IMAGES, config.model_copy(update={"dropout": 0.0}), 3)
    other.set_weights(model.get_weights())
    return other


def test_attention_mixes_the_modalities_of_a_row_and_no_rows():
    model = build_head(TEXTS | IMAGES, Head(projection_units=8, attention="cross"), 3)
    inputs = batch(TEXTS | IMAGES)
    alone = np.concatenate(
        [np.asarray(model({n: a[i : i + 1] for n, a in inputs.items()})) for i in range(4)]
    )
    np.testing.assert_allclose(np.asarray(model(inputs)), alone, atol=1e-6)
    plain = build_head(TEXTS | IMAGES, Head(projection_units=8), 3)
    assert model.count_params() - plain.count_params() == 2 * 8 * 3 + 1


def test_the_projection_is_the_example_s():
    model = build_head(IMAGES, Head(pair_features=False, projection_layers=2, projection_units=8), 3)
    kinds = [
        type(layer).__name__
        for layer in model.layers
        if not layer.name.endswith(("_1_present", "_2_present"))
    ]
    block = ["Activation", "Dense", "Dropout", "Add", "LayerNormalization"]
    assert kinds == [
        *("InputLayer", "InputLayer", "Concatenate", "Dense", *block, *block),
        *("Dense", "Temperature", "Softmax"),
    ]


def test_parameters_count_what_the_options_say():
    def count(**options):
        return build_head(TEXTS, Head(projection_units=8, **options), 3).count_params()

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
