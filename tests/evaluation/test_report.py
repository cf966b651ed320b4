"""Judging a head on a split of records: everything that is logged, from texts alone and with images."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.head import Head
from entailment.configuration.model import ModelConfiguration
from entailment.evaluation import samples as samples_module
from entailment.evaluation.report import evaluate_split
from entailment.evaluation.samples import rows_to_show
from entailment.evaluation.slices import SLICES
from entailment.model.features import SplitFeatures
from entailment.model.head import build_head, set_temperature
from entailment.model.training import TrainedHead
from entailment.records.writing import write_records
from entailment.reporting.evaluation_page import evaluation_figures
from entailment.reporting.figures import samples_figure, save_figure
from entailment.task import LABELS

ROWS = 45
COUNTS = {"train": dict(zip(LABELS, (5, 6, 30), strict=True))}
CONFIG = Evaluation(bootstrap_samples=50, sample_rows=3)


def splits(folder):
    """Pairs that are all in the test split but one each; every fourth has no second image."""
    images = [str(folder / f"{i}.png") for i in range(ROWS)]
    for i, path in enumerate(images):
        Image.new("RGB", (40, 30), (i * 5, 80, 200 - i)).save(path)
    missing = [i % 4 == 0 for i in range(ROWS)]
    frame = pd.DataFrame(
        {
            **{name: [f"{name}-{i}" for i in range(ROWS)] for name in ("id_1", "id_2")},
            "text_1": [f"the first text of the pair number {i}" for i in range(ROWS)],
            "text_2": [f"the second {i} https://t.co/{i}" for i in range(ROWS)],
            **{name: ["https://a.example/b.png"] * ROWS for name in ("image_1", "image_2")},
            "image_path_1": images,
            "image_path_2": ["" if absent else path for absent, path in zip(missing, images, strict=True)],
            "image_status_1": ["ok"] * ROWS,
            "image_status_2": ["missing" if absent else "ok" for absent in missing],
            "label_index": [i % 3 for i in range(ROWS)],
            "split": ["train", "validation", *["test"] * (ROWS - 2)],
        }
    )
    return frame


class Features:
    """Stands in for a featurizer: random vectors, or vectors that tell the label."""

    def __init__(self, labels, telling=False):
        generator = np.random.default_rng(0)
        vectors = np.eye(3)[labels] * 50 if telling else generator.normal(size=(len(labels), 3)) * 3
        self.inputs = {
            "text": vectors.astype(np.float32),
            "text_present": np.ones((len(labels), 1), np.float32),
        }
        self.labels = labels

    def split(self, records, name):
        ids = pd.DataFrame({n: [f"{n}-{i + 2}" for i in range(len(self.labels))] for n in ("id_1", "id_2")})
        return SplitFeatures(self.inputs, self.labels, ids)


def telling_head():
    """Answers with the largest of the three inputs."""
    model = build_head({"text": 3, "text_present": 1}, Head(projection_layers=0, projection_units=3), 3)
    for name in ("text_projection", "logits"):
        model.get_layer(name).set_weights([np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    set_temperature(model, 2.0)
    return TrainedHead(model, 1, {"train/loss": [1.0, 0.5], "val/macro_f1": [0.3, 0.4]})


@pytest.fixture(scope="module", params=[True, False], ids=["images", "texts"])
def judged(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    frame = splits(folder)
    settings = {
        "inputs": "multimodal" if request.param else "text",
        "images": {"size": 32, "max_pixels": 10_000},
        "records": {"rows_per_shard": 16},
    }
    write_records(frame, folder / "records", ModelConfiguration.model_validate(settings))
    labels = frame["label_index"].to_numpy()[2:].astype(np.int64)
    judge = (folder / "records", telling_head(), Features(labels), COUNTS, CONFIG, 42, frame)
    return request.param, labels, judge, evaluate_split(*judge)


def test_every_figure_is_drawn_from_texts_alone_too(judged, tmp_path):
    *_, evaluated = judged
    figures = evaluation_figures(evaluated, telling_head(), ModelConfiguration())
    assert set(figures) == {
        *("confusion_matrix.png", "samples.png", "confident_errors.png", "reliability.png"),
        *("model.png", "served_model.png", "training_curves.png"),
    }
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000


def test_calibration_metrics_and_predictions_agree(judged):
    *_, evaluated = judged
    assert evaluated.calibration["temperature"] == 2
    assert evaluated.calibration["after"]["ece"] == evaluated.metrics.ece
    assert evaluated.calibration["before"]["ece"] != evaluated.calibration["after"]["ece"]
    right = (evaluated.predictions["label"] == evaluated.predictions["true_label"]).mean()
    assert right == evaluated.metrics.accuracy
    assert evaluated.classification_report["Implies"]["f1"] == evaluated.metrics.f1["implies"]


def test_slices_know_urls_texts_and_which_images_the_model_saw(judged):
    with_images, _, _, evaluated = judged
    rows = evaluated.slices.set_index("slice")["rows"].to_dict()
    absent = sum(i % 4 == 0 for i in range(2, ROWS)) if with_images else ROWS - 2
    assert list(rows) == ["all", *SLICES]
    assert rows["image_missing"] == absent
    assert rows["all"] == rows["has_url"] == rows["same_image_domain"] == ROWS - 2
    assert rows["near_identical_texts"] == 0


def test_a_head_of_texts_alone_has_nothing_to_miss(judged):
    *_, evaluated = judged
    assert len(evaluated.missing_modalities) == 0
    assert evaluated.final_metrics() == evaluated.metrics.as_dict("test/")


def test_missing_modalities_are_judged_on_the_same_rows(judged):
    _, labels, (records, _, _, *rest), _ = judged
    features = Features(labels)
    for name, seed in (("image_1", 1), ("image_2", 2)):
        vectors = np.random.default_rng(seed).normal(size=(len(labels), 3)).astype(np.float32)
        features.inputs |= {name: vectors, f"{name}_present": np.ones((len(labels), 1), np.float32)}
    head = build_head({name: column.shape[1] for name, column in features.inputs.items()}, Head(), 3)
    evaluated = evaluate_split(records, TrainedHead(head, 1, {"val/loss": [1.0]}), features, *rest)
    table = evaluated.missing_modalities.set_index("missing")
    assert table.loc["nothing_missing", "macro_f1"] == evaluated.metrics.macro_f1
    assert (table["rows"] == len(labels)).all()
    metrics = evaluated.final_metrics()
    for name in ("texts_missing", "images_missing", "image_1_missing", "image_2_missing"):
        assert metrics[f"test/macro_f1_{name}"] == table.loc[name, "macro_f1"]


def shown(figure):
    """Labels, answers and first texts of the pairs drawn, from the top."""
    texts = [text.get_text() for text in figure.axes[0].texts]
    return [
        (label.removeprefix("label: "), answer, " ".join(text.split()))
        for label, answer, text in zip(texts[0::6], texts[1::6], texts[3::6], strict=True)
    ]


def test_the_most_confident_errors_are_shown_surest_first(judged, monkeypatch):
    *_, judge, evaluated = judged
    table = evaluated.predictions
    columns = ["p_contradictory", "p_implies", "p_no_entailment"]
    wrong = table[table["label"] != table["true_label"]].assign(sure=lambda rows: rows[columns].max(axis=1))
    wanted = wrong.sort_values("sure", ascending=False, kind="stable")
    assert len(wanted) > 20
    got = shown(samples_figure(evaluated.confident_errors, "", ""))
    assert len(got) == 20
    for (label, answer, text), (_, row) in zip(got, wanted.head(20).iterrows(), strict=True):
        assert label == row["true_label"]
        assert answer == f"✗ answer ({row['sure']:.1%}): {row['label']}"
        assert text.endswith(f"number {row['id_1'].removeprefix('id_1-')}")
    monkeypatch.setattr(samples_module, "ERRORS_SHOWN", 3)
    assert shown(samples_figure(evaluate_split(*judge).confident_errors, "", "")) == got[:3]


def test_samples_are_of_every_class_right_and_wrong(judged):
    _, _, (*judge, _, seed, frame), evaluated = judged
    first = samples_figure(evaluated.samples, "", "")
    assert [label for label, *_ in shown(first)] == list(LABELS)
    evaluated = evaluate_split(*judge, CONFIG.model_copy(update={"sample_rows": 12}), seed, frame)
    figure = evaluation_figures(evaluated, telling_head(), ModelConfiguration())["samples.png"]
    assert figure.texts[0].get_text() == f"12 of {ROWS - 2} test rows"
    got, table = shown(figure), evaluated.predictions
    for label in LABELS:
        of_label = table[table["true_label"] == label]
        wanted = [of_label[(of_label["label"] == label) == right].head(2) for right in (True, False)]
        answers = [answer.split("): ")[1] for true, answer, _ in got if true == label]
        numbers = [f"id_1-{text.rsplit(' ', 1)[1]}" for true, _, text in got if true == label]
        assert answers == [answer for part in wanted for answer in part["label"]]
        assert numbers == [name for part in wanted for name in part["id_1"]]


@pytest.mark.parametrize(
    ("true", "predicted", "count", "rows"),
    [
        ([0, 0, 0, 1, 1], [0, 0, 1, 0, 1], 3, [0, 2, 4]),
        ([0, 0, 0, 1, 1], [0, 0, 1, 0, 1], 4, [0, 2, 4, 3]),
        ([2] * 5, [2] * 5, 3, [0, 1, 2]),
        ([0, 1], [0, 1], 20, [0, 1]),
    ],
)
def test_rows_to_show_are_spread_evenly(true, predicted, count, rows):
    assert rows_to_show(np.array(true), np.array(predicted), count) == rows


def test_without_errors_there_is_a_sentence(judged):
    _, labels, (records, head, _, *rest), _ = judged
    evaluated = evaluate_split(records, head, Features(labels, telling=True), *rest)
    assert evaluated.metrics.accuracy == 1
    figure = evaluation_figures(evaluated, head, ModelConfiguration())["confident_errors.png"]
    (text,) = [text.get_text() for text in figure.axes[0].texts]
    assert text == f"No errors: all {ROWS - 2} test rows were answered right."
