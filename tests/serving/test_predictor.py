"""The packed model: from raw rows to answers, each fault in its own row."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from entailment.configuration import load_configuration
from entailment.data.schema import LABELS, PROBABILITY
from entailment.model.featurizer import configured_featurizer
from entailment.model.head import build_head
from entailment.model.training import TrainedHead
from entailment.serving.package import write_package
from entailment.serving.predictor import Predictor
from tests.encoders.random_modules import write_random_modules

SIZE = 32


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return write_random_modules(tmp_path_factory.mktemp("modules"))


def predictor(folder, modules, inputs="multimodal", encode="each"):
    configuration = load_configuration(
        None,
        overrides={
            "inputs": inputs,
            "images.size": SIZE,
            "ingest.max_text_bytes": 50,
            "encoders.text.encoder": modules["text"],
            "encoders.text.preprocessor": modules["preprocessor"],
            "encoders.text.sequence_length": 16,
            "encoders.text.encode": encode,
            "encoders.image.encoder": modules["image"],
        },
    )
    featurizer = configured_featurizer(configuration, folder, folder / "features")
    from entailment.data.records import Row

    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    sample = featurizer.rows([Row(("", ""), ("a", "b"), (black, black), 0)])
    head = build_head({name: array.shape[1] for name, array in sample.items()}, configuration.head)
    return Predictor(write_package(folder / "package", TrainedHead(head, 0), configuration, folder))


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory, modules):
    return predictor(tmp_path_factory.mktemp("multimodal"), modules)


def rows(**columns):
    full = {
        "text_1": ["one"] * 3,
        "text_2": ["two"] * 3,
        "image_1": [picture(1)] * 3,
        "image_2": [picture(2)] * 3,
    }
    return pd.DataFrame(full | columns, index=[7, 3, 5])


def test_answers_are_complete_and_in_order(multimodal):
    answers = multimodal.predict(rows(text_2=["two", "three", "two"]))
    assert list(answers.columns) == ["label", *PROBABILITY, "error"]
    assert answers.index.tolist() == [7, 3, 5]
    values = answers[list(PROBABILITY)].to_numpy()
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)
    assert answers["label"].tolist() == [LABELS[i] for i in values.argmax(axis=1)]
    np.testing.assert_allclose(values[0], values[2], atol=1e-6)
    assert abs(values[0] - values[1]).max() > 1e-6


@pytest.mark.parametrize("absent", [None, "", float("nan"), pd.NA])
def test_an_absent_value_is_absent_however_it_is_written(multimodal, absent):
    with_value = multimodal.predict(rows(text_1=[absent] * 3, image_2=[absent] * 3))
    without_column = multimodal.predict(rows().drop(columns=["text_1", "image_2"]))
    pd.testing.assert_frame_equal(with_value, without_column)
    assert (with_value["error"] == "").all()


def test_a_faulty_row_costs_only_itself(multimodal):
    good = multimodal.predict(rows())
    mixed = multimodal.predict(
        rows(image_1=[picture(1), b"no picture", picture(1)], text_2=["two", "two", "x" * 51])
    )
    assert mixed["error"].tolist()[0] == ""
    assert (
        mixed["error"].iloc[1].startswith("image_1: ")
        and "text_2 is longer than 50 bytes" in mixed["error"].iloc[2]
    )
    assert mixed["label"].tolist()[1:] == ["", ""]
    assert mixed[list(PROBABILITY)].iloc[1:].isna().all(axis=None)
    np.testing.assert_allclose(mixed["p_implies"].iloc[0], good["p_implies"].iloc[0], atol=1e-6)


def test_half_a_surrogate_pair_fails_nothing(multimodal):
    half = pd.Series(["\ud83d", "one", "one"], index=[7, 3, 5], dtype=object)
    assert multimodal.predict(rows().assign(text_1=half))["error"].tolist() == ["", "", ""]


def test_no_rows_give_no_answers(multimodal):
    answers = multimodal.predict(rows().head(0))
    assert len(answers) == 0 and list(answers.columns) == ["label", *PROBABILITY, "error"]


def test_batches_do_not_change_answers(multimodal, monkeypatch):
    frame = pd.concat([rows(text_2=[f"t{i}", f"u{i}", "v"]) for i in range(3)])
    whole = multimodal.predict(frame)
    monkeypatch.setattr("entailment.serving.predictor._BATCH", 2)
    pd.testing.assert_frame_equal(multimodal.predict(frame), whole, atol=1e-5)


def test_text_alone_ignores_images(tmp_path, modules):
    model = predictor(tmp_path, modules, "text")
    pd.testing.assert_frame_equal(
        model.predict(rows(image_1=[b"no picture"] * 3)),
        model.predict(rows().drop(columns=["image_1", "image_2"])),
    )


@pytest.mark.parametrize("inputs", ["multimodal", "text"])
def test_packed_pairs_as_in_the_example(tmp_path, modules, inputs):
    answers = predictor(tmp_path, modules, inputs, "pair").predict(rows(text_1=["one", "one", None]))
    assert (answers["error"] == "").all()
    assert answers[list(PROBABILITY)].notna().all(axis=None)


def test_with_a_store_nothing_is_encoded_twice_and_the_answers_are_the_same(tmp_path, modules):
    made = tmp_path / "made"
    predictor(made, modules)
    first = Predictor(made / "package", tmp_path / "store")
    answers = first.predict(rows())
    assert (first.usage.hits, first.usage.misses) == (0, 4)
    later = Predictor(made / "package", tmp_path / "store")
    pd.testing.assert_frame_equal(later.predict(rows()), answers)
    assert (later.usage.hits, later.usage.misses) == (4, 0)
