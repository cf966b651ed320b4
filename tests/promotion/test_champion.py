"""What the gate and the drift report are given: the right rows, in the right order."""

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.drift import Drift
from entailment.data.image_paths import MISSING, OK
from entailment.data.pairs import pair_hashes
from entailment.model.features import SplitFeatures
from entailment.promotion.champion import Champion, gather_evidence, measure_drift
from entailment.records.index import RecordsIndex
from entailment.task import LABELS, probability_columns
from entailment.task import LABELS as NAMES

PROBABILITY = probability_columns(LABELS)


class Echo:
    """Answers class 0 where the first text says so, else class 2; cannot answer "broken"."""

    def __init__(self):
        self.images = []

    def predict(self, frame):
        self.images += frame["image_1"].tolist()
        answers = np.array(
            [[0.8, 0.1, 0.1] if "zero" in text else [0.1, 0.1, 0.8] for text in frame["text_1"]]
        )
        answers[(frame["text_1"] == "broken").to_numpy()] = np.nan
        return pd.DataFrame(answers, columns=list(PROBABILITY))


def table(count, tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"pixels")
    names = [f"a{number}" for number in range(count)]
    frame = pd.DataFrame({"id_1": names, "id_2": [f"b{number}" for number in range(count)]})
    texts = ["zero" if number % 2 == 0 else "other" for number in range(count)]
    frame = frame.assign(text_1=texts, text_2="text", image_1="", image_2="", split="test")
    frame = frame.assign(image_path_1=str(image), image_status_1=OK, image_path_2="", image_status_2=MISSING)
    return frame


def champion(frame, train, validation=(), test=()):
    hashes = pair_hashes(frame)
    pairs = {"train": hashes[list(train)], "validation": hashes[list(validation)], "test": hashes[list(test)]}
    return Champion("4", Echo(), NAMES, {name: list(values) for name, values in pairs.items()})


def test_rows_keep_their_order_and_those_learned_from_are_marked(tmp_path):
    frame = table(6, tmp_path)
    frame.loc[5, "text_1"] = "broken"
    order = [5, 0, 3, 2]
    ids = frame.loc[order, ["id_1", "id_2"]].reset_index(drop=True)
    keys = np.full((4, 2), b"x" * 16)
    index = RecordsIndex(ids, np.array([0, 0, 2, 2]), {"text": keys, "image": keys})
    best = champion(frame, train=[0], validation=[3], test=[2])
    said = np.full((4, 3), 1 / 3, np.float32)
    found = gather_evidence(index, said, frame, 2, NAMES, best, version="4")
    assert found.unseen.tolist() == [True, False, False, True]
    assert np.isnan(found.champion[0]).all() and found.champion[1:].argmax(axis=1).tolist() == [0, 2, 0]
    assert best.predictor.images == [b"pixels"] * 4
    assert set(found.slices) >= {"has_url", "short_text"} and len(found.slices["has_url"]) == 4
    alone = gather_evidence(index, said, frame, 2, NAMES, None, version="4", no_champion="it is generated")
    assert alone.champion is None and alone.champion_version == "4" and alone.no_champion == "it is generated"


@pytest.fixture
def features():
    def make(frame):
        ids = frame[["id_1", "id_2"]].reset_index(drop=True)
        vectors = np.random.default_rng(0).normal(size=(len(frame), 8)).astype(np.float32)
        inputs = {"text_1": vectors, "text_1_present": np.ones((len(frame), 1), np.float32)}
        return SplitFeatures(inputs, np.zeros(len(frame), np.int64), ids)

    return make


def test_new_rows_are_those_of_no_split(tmp_path, features):
    frame = table(100, tmp_path)
    parts = [features(frame[:60]), features(frame[60:70]), features(frame[70:])]
    settings = Configuration(inputs="text", drift=Drift(min_rows=10))
    best = champion(frame, train=range(40), validation=range(60, 65), test=range(70, 80))
    report = measure_drift(parts, frame, best, settings)
    assert (report.reference_rows, report.new_rows) == (40, 45)
    assert {row["measure"] for row in report.measures} >= {"features", "vocabulary", "predicted_labels"}
    capped = settings.model_copy(update={"drift": Drift(min_rows=10, max_rows=20)})
    assert (measure_drift(parts, frame, best, capped).new_rows) == 20


def test_a_champion_of_other_data_is_said(tmp_path, features):
    frame = table(20, tmp_path)
    stranger = Champion("4", Echo(), NAMES, {"train": ["0" * 16], "validation": [], "test": []})
    report = measure_drift([features(frame)], frame, stranger, Configuration())
    assert "none of the rows that version 4 was trained on" in report.not_measured
    assert measure_drift([features(frame)], frame, None, Configuration(), "no one").not_measured == "no one"


def test_drift_looks_at_vectors_of_texts_and_images_whatever_the_model_takes():
    from entailment.configuration.loading import load_configuration
    from entailment.promotion.champion import drift_configuration

    trained = load_configuration(
        None, overrides={"encoders.image.trainable": 2, "encoders.text.trainable": "all"}
    )
    assert drift_configuration(trained).encoders.trained("multimodal") == {}
    paired = load_configuration(None, overrides={"encoders.text.encode": "pair"})
    assert drift_configuration(paired).encoders.text.encode == "pair"
