"""Encoders trained with the head: what moves, what stays, and that the tuned ones are what is used from then on."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from entailment.configuration.loading import load_configuration
from entailment.configuration.model import ModelConfiguration
from entailment.encoders.handles import load_module
from entailment.encoders.trainable import TrainableEncoder
from entailment.errors import EncoderError, EntailmentError
from entailment.files import read_json, write_json
from entailment.model.end_to_end import Workplace, train_model, tuned_featurizer
from entailment.model.features import configured_featurizer
from entailment.model.head import logits_model, temperature_of
from entailment.model.training import configured_loss, load_trained, predict, save_trained
from entailment.records.writing import write_records
from entailment.serving.package import write_package
from entailment.serving.predictor import Predictor
from entailment.task import LABELS
from tests.encoders.random_modules import write_lite0_module, write_random_modules

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZE, LENGTH = 32, 16
SPLITS = 24 * ["train"] + 7 * ["validation"] + 5 * ["test"]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    written = write_random_modules(folder)
    write_json(folder / "text" / "module.json", {"any_length": True, "licence": "none"})
    return written | {"foreign": written["image"], "image": write_lite0_module(folder / "lite0")}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """36 pairs; the third text, and some images, are missing."""
    folder = tmp_path_factory.mktemp("records")
    random = np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 256, (40, 50, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    rows = range(len(SPLITS))
    texts = ["".join(random.choice(list("abcdef "), 4 + n % 9)) for n in range(2 * len(SPLITS))]
    frame = pd.DataFrame(
        {
            **{f"id_{side}": [f"{side}{row}" for row in rows] for side in (1, 2)},
            "text_1": [text if n != 2 else "" for n, text in enumerate(texts[::2])],
            "text_2": texts[1::2],
            **{
                f"image_path_{side}": [str(folder / f"{(row + side) % 6}.png") for row in rows]
                for side in (1, 2)
            },
            **{
                f"image_status_{side}": ["ok" if row % (3 + side) else "missing" for row in rows]
                for side in (1, 2)
            },
            "label_index": [row % len(LABELS) for row in rows],
            "split": SPLITS,
        }
    )
    write_records(
        frame,
        folder / "records",
        ModelConfiguration.model_validate(
            {"images": {"size": SIZE, "max_pixels": 10_000}, "records": {"rows_per_shard": 10}}
        ),
    )
    return folder / "records"


def configured(modules, inputs, **settings):
    small = {
        "inputs": inputs,
        "images.size": SIZE,
        "encoders.text.encoder": modules["text"],
        "encoders.text.preprocessor": modules["preprocessor"],
        "encoders.text.sequence_length": LENGTH,
        "encoders.image.encoder": modules["image"],
        "head.projection_units": 8,
        "training.epochs": 2,
        "training.batch_size": 8,
        "training.encoder_learning_rate": 0.01,
    }
    return load_configuration(None, overrides=small | settings)


def trained_with(records, config, folder):
    featurizer = configured_featurizer(config, folder, folder / "features")
    (folder / "tuned").mkdir(parents=True)
    features = [featurizer.split(records, split) for split in ("train", "validation")]
    return train_model(*features, config, Workplace(records, folder, folder / "tuned"))


TEXT, IMAGE = "encoders.text.trainable", "encoders.image.trainable"


@pytest.mark.parametrize(
    ("inputs", "settings"),
    [
        ("text", {TEXT: "all", "encoders.text.encode": "pair"}),
        ("image", {IMAGE: 2, TEXT: 1}),
        ("multimodal", {TEXT: 2, "training.loss": "weighted"}),
        ("multimodal", {TEXT: 1, IMAGE: "all", "encoders.text.encode": "pair"}),
    ],
)
def test_what_is_asked_for_moves_and_its_features_are_those_of_training(
    records, modules, tmp_path, inputs, settings
):
    config = configured(modules, inputs, **settings)
    trained = trained_with(records, config, tmp_path)
    asked = config.encoders.trained(inputs)
    assert trained.modules.keys() == asked.keys()
    for role, amount in asked.items():
        before, after = load_module(modules[role]), load_module(trained.modules[role])
        layers = before.layer_variables
        count = len(layers) if amount == "all" else amount
        moving = {v.name for layer in layers[-count:] for v in layer}
        if amount == "all":
            moving = {v.name for v in before.variables}
        moved = {
            old.name
            for old, new in zip(before.variables, after.variables, strict=True)
            if (old != new).numpy().any()
        }
        assert moved and moved <= moving
        for layer in layers[-count:]:
            assert moved & {v.name for v in layer}, "every trained layer moves"
    # The ordinary features of the tuned encoders give what the training saw.
    featurizer = tuned_featurizer(trained, config, tmp_path, tmp_path / "features")
    validation, train = (featurizer.split(records, split) for split in ("validation", "train"))
    logits = predict(logits_model(trained.model), validation)
    loss = np.mean(configured_loss(config.training, train.labels, 3)(validation.labels, logits))
    assert loss == pytest.approx(trained.history["val/loss"][trained.best_epoch - 1], abs=1e-4)
    assert temperature_of(trained.model) > 0


def test_it_repeats_itself_to_the_bit(records, modules, tmp_path):
    config = configured(modules, "multimodal", **{TEXT: 1, IMAGE: 1})
    runs = [trained_with(records, config, tmp_path / name) for name in ("a", "b")]
    assert runs[0].history == runs[1].history
    for role in ("text", "image"):
        first, again = (load_module(run.modules[role]).variables for run in runs)
        assert all((a == b).numpy().all() for a, b in zip(first, again, strict=True))
    assert runs[0].history["train/loss"][0] != runs[0].history["train/loss"][1]


def test_saved_packed_and_loaded_it_answers_the_same(records, modules, tmp_path):
    config = configured(modules, "multimodal", **{TEXT: 1, IMAGE: 1})
    trained = trained_with(records, config, tmp_path)
    described = read_json(trained.modules["text"] / "module.json")
    assert described == {"any_length": True, "licence": "none", "tuned": 1}
    assert (trained.modules["image"] / "network.tflite").is_file()
    featurizer = tuned_featurizer(trained, config, tmp_path, tmp_path / "features")
    test = featurizer.split(records, "test")
    answers = predict(trained.model, test)
    save_trained(trained, tmp_path / "kept")
    assert not any((tmp_path / "tuned").iterdir())
    loaded = load_trained(tmp_path / "kept")
    assert loaded.modules == {role: tmp_path / "kept" / role for role in ("text", "image")}
    again = tuned_featurizer(loaded, config, tmp_path, tmp_path / "features")
    assert (predict(loaded.model, again.split(records, "test")) == answers).all()
    assert again.usage.misses == 0, "the same files, the same features"
    predictor = Predictor(write_package(tmp_path / "package", loaded, config, tmp_path))
    frozen = Predictor(write_package(tmp_path / "frozen", load_frozen(loaded), config, tmp_path))
    frame = pd.DataFrame({"text_1": ["abc", "fed"], "text_2": ["abd", "e f"]})
    probabilities = [model.predict(frame).filter(like="p_").to_numpy() for model in (predictor, frozen)]
    assert abs(probabilities[0] - probabilities[1]).max() > 1e-4, "the package holds the tuned encoders"


def load_frozen(trained):
    """The same head on the encoders as they were."""
    from dataclasses import replace

    return replace(trained, modules={})


def test_a_step_too_large_is_named(records, modules, tmp_path):
    config = configured(modules, "text", **{TEXT: "all", "training.encoder_learning_rate": 1e30})
    with pytest.raises(
        EntailmentError, match=r"stopped in epoch 1, step \d: train/loss is .*encoder_learning_rate"
    ):
        trained_with(records, config, tmp_path)


@pytest.mark.parametrize(
    ("module", "trainable", "said"),
    [
        ("foreign", "all", r"encoders\.image\.trainable: the module .* has no `trainable_variables`"),
        ("foreign", 1, r"cannot be trained"),
        ("text", 3, r"must be at most 2, the layers of .*Received: 3"),
    ],
)
def test_a_module_that_cannot_be_trained_so_is_named(modules, tmp_path, module, trainable, said):
    with pytest.raises(EncoderError, match=said):
        TrainableEncoder("encoders.image.trainable", modules[module], tmp_path, trainable)


def test_a_module_without_layers_can_be_trained_whole_alone(tmp_path):
    import tensorflow as tf

    module = tf.train.Checkpoint()
    module.trainable_variables = [tf.Variable([1.0, 2.0])]
    module.__call__ = tf.function(
        lambda x: x * module.trainable_variables[0], input_signature=[tf.TensorSpec([None, 2], tf.float32)]
    )
    tf.saved_model.save(module, str(tmp_path / "plain"))
    encoder = TrainableEncoder("encoders.text.trainable", str(tmp_path / "plain"), tmp_path, "all")
    assert len(encoder.variables) == 1 and not encoder.any_length
    with pytest.raises(EncoderError, match=r"does not say what its layers are.*to all or 0"):
        TrainableEncoder("encoders.text.trainable", str(tmp_path / "plain"), tmp_path, 1)
