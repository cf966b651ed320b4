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


@pytest.mark.parametrize("options", [{"modality_dropout": 0.4}, {"attention": "pooled"}])
def test_variants_survive_a_round_trip(tmp_path, options):
    model = build_head(TEXTS | IMAGES, Head(projection_units=8, **options))
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
    model = build_head(TEXTS | IMAGES, Head(projection_units=8, modality_dropout=0.999999))
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
    other = build_head(TEXTS | IMAGES, config.model_copy(update={"dropout": 0.0}))
    other.set_weights(model.get_weights())
    return other


def test_attention_mixes_the_modalities_of_a_row_and_no_rows():
    model = build_head(TEXTS | IMAGES, Head(projection_units=8, attention="pooled"))
    inputs = batch(TEXTS | IMAGES)
    alone = np.concatenate(
        [np.asarray(model({n: a[i : i + 1] for n, a in inputs.items()})) for i in range(4)]
    )
    np.testing.assert_allclose(np.asarray(model(inputs)), alone, atol=1e-6)
    plain = build_head(TEXTS | IMAGES, Head(projection_units=8))
    assert model.count_params() - plain.count_params() == 2 * 8 * 3 + 1


def test_the_projection_is_the_example_s():
    model = build_head(IMAGES, Head(pair_features=False, projection_layers=2, projection_units=8))
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


TOKENS = TEXTS | {"text_1": (7, 6), "text_2": (7, 6)}
PLACES = IMAGES | {"image_1": (4, 10), "image_2": (4, 10)}
SEQUENCES = Head(projection_units=8, attention="sequence")


def sequences(widths, rows=4, seed=0):
    """Texts of 3 to 7 tokens, padded with zeros."""
    random = np.random.default_rng(seed)
    inputs = {}
    for name, width in widths.items():
        shape = (rows, *width) if isinstance(width, tuple) else (rows, width)
        values = np.ones(shape) if name.endswith("_present") else random.normal(size=shape)
        if name in ("text_1", "text_2"):
            values *= np.arange(width[0])[:, None] < random.integers(3, 8, (rows, 1, 1))
        inputs[name] = values.astype(np.float32)
    return inputs


@pytest.mark.parametrize("widths", [TOKENS, PLACES, TOKENS | PLACES])
def test_sequences_give_probabilities_and_survive_a_round_trip(tmp_path, widths):
    model = build_head(widths, SEQUENCES)
    inputs = sequences(widths)
    answers = np.asarray(model(inputs))
    assert answers.shape == (4, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    alone = [np.asarray(model({n: a[i : i + 1] for n, a in inputs.items()})) for i in range(4)]
    np.testing.assert_allclose(answers, np.concatenate(alone), atol=1e-6)
    model.save(tmp_path / "head.keras")
    loaded = load_head(tmp_path / "head.keras")
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), answers)


def test_padding_and_absence_are_not_seen():
    model = build_head(TOKENS | PLACES, SEQUENCES)
    longer = build_head(TOKENS | PLACES | {"text_1": (9, 6), "text_2": (9, 6)}, SEQUENCES)
    longer.set_weights(model.get_weights())
    inputs = sequences(TOKENS | PLACES)
    padded = {
        n: np.pad(a, ((0, 0), (0, 2), (0, 0))) if a.shape[1:] == (7, 6) else a for n, a in inputs.items()
    }
    np.testing.assert_allclose(np.asarray(longer(padded)), np.asarray(model(inputs)), atol=1e-6)
    absent = {n: a * (not n.startswith("image")) for n, a in inputs.items()}
    texts = build_head(TOKENS, SEQUENCES)
    assert np.isfinite(np.asarray(model(absent))).all()
    attended = (
        keras_output(model, "image_attention", absent),
        keras_output(model, "modality_attention", absent),
    )
    assert not any(np.any(output) for output in attended)
    assert np.any(keras_output(model, "text_attention", absent))
    assert np.any(keras_output(texts, "text_attention", {n: inputs[n] for n in TOKENS}))


def keras_output(model, layer, inputs):
    """What a layer gives on its first call."""
    import keras

    part = keras.Model(model.inputs, model.get_layer(layer)._inbound_nodes[0].outputs[0])
    return np.asarray(part(inputs))


def test_attention_sees_single_positions_of_the_other_sequence():
    from entailment.model.layers import CrossAttention

    layer, random = CrossAttention(0.5), np.random.default_rng(0)
    queries, values = (random.normal(size=(1, n, 5)).astype(np.float32) for n in (3, 4))
    before = np.asarray(layer([queries, values]))
    other = values[:, [1, 0, 2, 3]]
    np.testing.assert_allclose(np.asarray(layer([queries, other])), before, atol=1e-6)
    other = values.copy()
    other[0, 0] += 1
    assert other.sum() != values.sum() and abs(np.asarray(layer([queries, other])) - before).max() > 1e-3
    balanced = values.copy()  # the same mean: a pooled vector could not tell
    balanced[0, 0] += 1
    balanced[0, 1] -= 1
    assert abs(np.asarray(layer([queries, balanced])) - before).max() > 1e-3
    scores = (queries @ values.transpose(0, 2, 1)) / 5**0.5
    shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    expected = np.concatenate([shares @ values, abs(queries - shares @ values)], axis=-1).mean(axis=1)
    np.testing.assert_allclose(before, expected, atol=1e-5)


def test_a_hidden_modality_of_sequences_is_like_an_absent_one():
    options = {"projection_units": 8, "attention": "sequence", "dropout": 0.0, "attention_dropout": 0.0}
    plain = build_head(TOKENS | PLACES, Head(**options))
    dropping = build_head(TOKENS | PLACES, Head(modality_dropout=0.999999, **options))
    dropping.set_weights(plain.get_weights())
    inputs = sequences(TOKENS | PLACES)
    parts = [
        np.asarray(plain({n: a * (not n.startswith(hidden)) for n, a in inputs.items()}))
        for hidden in ("image", "text")
    ]
    trained = np.asarray(dropping(inputs, training=True))
    assert all(min(abs(row - part[i]).max() for part in parts) < 1e-5 for i, row in enumerate(trained))
