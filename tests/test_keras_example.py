"""The preset `keras_example` is the Keras example "Multimodal entailment" (Sayak Paul, 2021), value by value."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from entailment.configuration.loading import load_configuration
from entailment.configuration.section import dotted
from entailment.data.split import split_pairs
from entailment.task import LABELS, SPLITS

EXAMPLE = load_configuration(None, Path(__file__).parents[1] / "configs" / "keras_example.yaml")
TEXT_WIDTH, IMAGE_WIDTH = 24, 40
WIDTHS = {
    **{"text": TEXT_WIDTH, "text_present": 1},
    **{"image_1": IMAGE_WIDTH, "image_1_present": 1, "image_2": IMAGE_WIDTH, "image_2_present": 1},
}


def test_the_settings_are_the_example_s() -> None:
    expected = {
        "seed": 42,
        "inputs": "multimodal",
        "split.method": "stratified",
        "split.test_fraction": 0.10,
        "split.validation_fraction": 0.05,
        "encoders.text.encoder": "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-2_H-256_A-4/1",
        "encoders.text.preprocessor": "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3",
        "encoders.text.output": "pooled_output",
        "encoders.text.sequence_length": 128,
        "encoders.text.encode": "pair",
        "encoders.text.trainable": 0,
        "encoders.image.encoder": "keras:ResNet50V2",
        "encoders.image.trainable": 0,
        "images.size": 128,
        "head.pair_features": False,
        "head.projection_layers": 1,
        "head.projection_units": 256,
        "head.dropout": 0.1,
        "head.modality_dropout": 0.0,
        "head.attention": "none",
        "training.loss": "cross_entropy",
        "training.label_smoothing": 0.0,
        "training.logit_adjustment": 0.0,
        "training.epochs": 10,
        "training.batch_size": 32,
        "training.learning_rate": 0.001,
        "training.patience": 0,
        "training.keep": "last",
    }
    settings = dotted(EXAMPLE)
    assert {key: settings[key] for key in expected} == expected
    assert LABELS == ("Contradictory", "Implies", "NoEntailment")


def test_the_split_is_the_example_s_row_for_row() -> None:
    labels = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], [109, 109, 1182]))
    rows = [f"{i}" for i in range(len(labels))]
    pairs = pd.DataFrame({"label": [LABELS[i] for i in labels], "label_index": labels})
    pairs = pairs.assign(**dict.fromkeys(("id_1", "id_2", "text_1", "text_2"), rows))
    train, test = train_test_split(pairs, test_size=0.1, stratify=pairs["label"].values, random_state=42)
    train, validation = train_test_split(
        train, test_size=0.05, stratify=train["label"].values, random_state=42
    )
    split = split_pairs(pairs, EXAMPLE.split, EXAMPLE.seed)
    for name, expected in zip(SPLITS, (train, validation, test), strict=True):
        assert split.loc[split["split"] == name, "id_1"].tolist() == expected["id_1"].tolist()
    assert [len(part) for part in (train, validation, test)] == [1197, 63, 140]


def plain_model(layers: int, units: int = 256, dropout: float = 0.1, classes: int = 3):
    """The network of the example on top of its encoders, written down once more in plain Keras."""
    import keras
    import tensorflow as tf

    class Gelu(keras.layers.Layer):
        def call(self, x):
            return tf.nn.gelu(x)

    def projected(embeddings, name: str):
        projection = keras.layers.Dense(units, name=f"{name}_projection")(embeddings)
        for number in range(1, layers + 1):
            x = Gelu(name=f"{name}_gelu_{number}")(projection)
            x = keras.layers.Dense(units, name=f"{name}_dense_{number}")(x)
            x = keras.layers.Dropout(dropout, name=f"{name}_dropout_{number}")(x)
            x = keras.layers.Add(name=f"{name}_residual_{number}")([projection, x])
            projection = keras.layers.LayerNormalization(name=f"{name}_norm_{number}")(x)
        return projection

    names = [name for name in WIDTHS if not name.endswith("_present")]
    inputs = {name: keras.Input((WIDTHS[name],), name=name) for name in names}
    images = keras.layers.Concatenate(name="image_pair")([inputs["image_1"], inputs["image_2"]])
    both = keras.layers.Concatenate(name="both")(
        [projected(images, "image"), projected(inputs["text"], "text")]
    )
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax", name="logits")(both))


def features(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        name: np.ones((rows, 1), np.float32)
        if name.endswith("_present")
        else random.normal(size=(rows, width)).astype(np.float32)
        for name, width in WIDTHS.items()
    }


def share_weights(ours, theirs) -> None:
    """Gives layers of the same name the same weights, none of them 0 or 1 as biases and scales are at first."""
    random = np.random.default_rng(1)
    for layer in theirs.layers:
        if layer.weights:
            values = [value + 0.1 * random.random(value.shape) for value in layer.get_weights()]
            for model in (ours, theirs):
                model.get_layer(layer.name).set_weights(values)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_head_is_the_example_s_layer_by_layer(layers: int) -> None:
    import keras

    from entailment.model.head import LOGITS, build_head, set_temperature

    head = build_head(WIDTHS, EXAMPLE.head.model_copy(update={"projection_layers": layers}), 3)
    plain = plain_model(layers)
    share_weights(head, plain)
    rows = features(5)
    given = {name: rows[name] for name in plain.input}
    compared = [
        layer.name for layer in plain.layers if layer.name not in plain.input and layer.name != LOGITS
    ]
    assert len(compared) == 2 + 2 * (1 + 5 * layers)
    for name in compared:
        ours, theirs = (
            keras.Model(model.input, model.get_layer(name).output)(inputs)
            for model, inputs in ((head, rows), (plain, given))
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5, err_msg=name)
    logits = keras.Model(head.input, head.get_layer(LOGITS).output)(rows)
    answers = np.asarray(plain(given))
    np.testing.assert_allclose(keras.ops.softmax(logits), answers, atol=1e-5)
    np.testing.assert_allclose(head(rows), answers, atol=1e-5)
    rates = [[x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)] for model in (head, plain)]
    assert rates[0] == rates[1] == [0.1] * 2 * layers
    assert head.count_params() - plain.count_params() < 10, "besides a temperature there is nothing more"
    set_temperature(head, 3.0)
    calibrated = np.asarray(head(rows))
    assert (calibrated.argmax(axis=1) == answers.argmax(axis=1)).all(), "calibration changes no answer"
    assert abs(calibrated - answers).max() > 0.01


def test_training_is_the_example_s_and_its_last_epoch_is_kept() -> None:
    """Without dropout, whose draws differ, and with one batch an epoch, whose order then cannot."""
    import keras

    from entailment.model.features import SplitFeatures
    from entailment.model.head import build_head, logits_model
    from entailment.model.training import make_deterministic, train_head

    config = EXAMPLE.head.model_copy(update={"dropout": 0.0})
    count = EXAMPLE.training.batch_size
    labels = np.random.default_rng(2).integers(0, 3, count)
    inputs = features(count)
    splits = [
        SplitFeatures(features(n, seed), labels[:n], [f"{i}" for i in range(n)])
        for n, seed in ((count, 0), (9, 1))
    ]
    make_deterministic(EXAMPLE.seed)
    start = build_head(WIDTHS, config, 3)
    plain = plain_model(layers=1, dropout=0.0)
    for layer in plain.layers:
        layer.set_weights(start.get_layer(layer.name).get_weights() if layer.weights else [])
    plain.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    given = {name: inputs[name] for name in plain.input}
    told = plain.fit(given, labels, batch_size=32, epochs=10, verbose=0).history

    trained = train_head(*splits, config, EXAMPLE.training, EXAMPLE.seed)
    assert trained.best_epoch == 10 and len(trained.history["train/loss"]) == 10
    np.testing.assert_allclose(trained.history["train/loss"], told["loss"], rtol=1e-3, atol=1e-5)
    assert told["loss"][0] > 2 * told["loss"][-1]
    logits = np.asarray(logits_model(trained.model)(features(9, 1)))
    expected = plain.predict({name: features(9, 1)[name] for name in plain.input}, verbose=0)
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-3)
