"""Every option of the head and of training changes the trained head, which survives saving and loading."""

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.head import Head
from entailment.configuration.training import Training
from entailment.model.features import SplitFeatures
from entailment.model.training import load_trained, predict, save_trained, train_head

WIDTH = 4


def split(rows, seed):
    random = np.random.default_rng(seed)
    labels = random.choice(3, rows, p=[0.2, 0.2, 0.6])
    inputs = {}
    for name in ("text_1", "text_2", "image_1", "image_2"):
        vectors = np.eye(WIDTH)[labels] + random.normal(size=(rows, WIDTH))
        inputs |= {name: vectors.astype(np.float32), f"{name}_present": np.ones((rows, 1), np.float32)}
    return SplitFeatures(inputs, labels, pd.DataFrame({"id_1": [""] * rows, "id_2": [""] * rows}))


TRAIN, VALIDATION = split(64, 0), split(30, 1)
HEAD = {"projection_units": 4, "projection_layers": 1}
TRAINING = {"epochs": 1, "batch_size": 16, "patience": 0}


def trained(head, training):
    return train_head(TRAIN, VALIDATION, Head(**HEAD | head), Training(**TRAINING | training), 1)


def rates(model):
    """What drops something in training, which no answer shows."""
    named = {layer.name: getattr(layer, "rate", getattr(layer, "dropout", None)) for layer in model.layers}
    return {name: rate for name, rate in named.items() if rate is not None}


@pytest.fixture(scope="module", autouse=True)
def _without_graphs():
    """Four steps are over before a graph of them is made."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def answer_of():
    """What a head with these options answers once it is trained; each is trained once."""
    known = {}

    def answer(head, training):
        key = repr((head, training))
        if key not in known:
            known[key] = predict(trained(head, training).model, VALIDATION)
        return known[key]

    return answer


@pytest.mark.parametrize(
    ("head", "training", "beside"),
    [
        ({"pair_features": False}, {}, ({}, {})),
        ({"projection_layers": 2}, {}, ({}, {})),
        ({"projection_units": 6}, {}, ({}, {})),
        ({"dropout": 0.6}, {}, ({}, {})),
        ({"modality_dropout": 0.6}, {}, ({}, {})),
        ({"attention": "cross"}, {}, ({}, {})),
        ({"attention": "cross", "attention_dropout": 0.7}, {}, ({"attention": "cross"}, {})),
        ({}, {"loss": "weighted"}, ({}, {})),
        ({}, {"loss": "weighted", "class_weights": (9, 1, 0.5)}, ({}, {"loss": "weighted"})),
        ({}, {"loss": "focal"}, ({}, {})),
        ({}, {"loss": "focal", "focal_gamma": 5.0}, ({}, {"loss": "focal"})),
        ({}, {"logit_adjustment": 1.0}, ({}, {})),
        ({}, {"label_smoothing": 0.4}, ({}, {})),
        ({}, {"learning_rate": 0.02}, ({}, {})),
        ({}, {"batch_size": 8}, ({}, {})),
    ],
    ids=repr,
)
def test_an_option_changes_the_answers_and_survives_saving(head, training, beside, answer_of, tmp_path):
    made = trained(head, training)
    answers = predict(made.model, VALIDATION)
    assert abs(answers - answer_of(*beside)).max() > 1e-4
    save_trained(made, tmp_path / "head")
    loaded = load_trained(tmp_path / "head")
    assert rates(loaded.model) == rates(made.model)
    assert (predict(loaded.model, VALIDATION) == answers).all()


def test_no_option_of_the_head_is_left_out_above():
    (marked,) = test_an_option_changes_the_answers_and_survives_saving.pytestmark
    tried = {name for head, training, _ in marked.args[1] for name in (*head, *training)}
    assert set(Configuration().head.model_dump()) <= tried
    # In test_training.py and test_end_to_end.py.
    elsewhere = {"epochs", "patience", "keep", "encoder_learning_rate"}
    assert set(Configuration().training.model_dump()) - tried == elsewhere


def test_the_hidden_layers_drop_the_configured_share():
    from entailment.model.head import build_head

    widths = {name: column.shape[1] for name, column in TRAIN.inputs.items()}
    dropped = {"dropout": 0.35, "attention_dropout": 0.45}
    model = build_head(widths, Head(**HEAD, **dropped, attention="cross"), 3)
    assert rates(model) == {"image_dropout_1": 0.35, "text_dropout_1": 0.35, "attention": 0.45}
