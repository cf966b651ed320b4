"""Drift: rows of the same kind do not drift, and each kind of change is found by its own measure."""

import dataclasses

import numpy as np
import pytest

from entailment.configuration.drift import Drift
from entailment.promotion.drift import (
    PairRows,
    auc_with_interval,
    drift_report,
)
from entailment.reporting.drift_page import drift_figure, drift_markdown

WORDS = [f"word{number}" for number in range(300)]


def rows(count, seed, **changes):
    generator = np.random.default_rng(seed)
    texts = [
        tuple(" ".join(generator.choice(WORDS, size=generator.integers(5, 15))) for _ in range(2))
        for _ in range(count)
    ]
    made = PairRows(
        texts=texts,
        pixels=generator.choice([1e4, 2e4, 4e4], size=(count, 2)),
        features=generator.normal(size=(count, 40)).astype(np.float32),
    )
    return dataclasses.replace(made, **changes)


OLD = rows(200, 1)


def answers(count, seed):
    return np.random.default_rng(seed).choice(3, size=count, p=[0.1, 0.2, 0.7])


def report(new, said=None, with_images=True):
    said = answers(len(new), 5) if said is None else said
    return drift_report(
        OLD, new, (answers(100, 4), said), Drift(), classes=3, with_images=with_images, seed=3
    )


def test_rows_of_the_same_kind_do_not_drift():
    alarms = [report(rows(100, seed)).drifted for seed in range(2, 7)]
    assert sum(map(len, alarms)) <= 1, alarms


def test_every_change_is_found_by_its_measure():
    new = rows(60, 2)
    features = new.features.copy()
    features[:, :5] += 2
    changes = {
        "text_length": {"texts": [(f"{a} {a} {a}", f"{b} {b} {b}") for a, b in new.texts]},
        "unseen_words": {"texts": [(f"{a} neu alt rot blau", b) for a, b in new.texts]},
        "vocabulary": {"texts": [("word1 word2 " * 5, "word3 word1 " * 5) for _ in new.texts]},
        "image_size": {"pixels": new.pixels * 50},
        "missing_images": {"pixels": np.where(np.arange(60)[:, None] < 20, np.nan, new.pixels)},
        "features": {"features": features},
    }
    for measure, change in changes.items():
        found = report(dataclasses.replace(new, **change)).drifted
        assert measure in found, (measure, found)
        if measure in ("image_size", "missing_images", "features"):
            assert found == [measure]
    assert report(new, np.zeros(60, np.int64)).drifted == ["predicted_labels"]


def test_answers_to_too_few_known_rows_are_not_compared():
    found = drift_report(
        OLD, rows(60, 2), (answers(5, 4), answers(60, 5)), Drift(), classes=3, with_images=True, seed=3
    )
    assert "predicted_labels" not in {row["measure"] for row in found.measures} and found.measures


def test_too_few_rows_are_said_and_not_measured():
    few = report(rows(10, 2))
    assert few.drifted == [] and "at least 30" in few.not_measured and few.measures == ()
    assert "not measured" in drift_markdown(few).lower()
    drift_figure(few)


def test_without_images_nothing_is_said_of_them():
    found = report(rows(60, 2), with_images=False)
    assert not {"image_size", "missing_images"} & {row["measure"] for row in found.measures}


def test_the_same_rows_and_seed_give_the_same_report():
    assert report(rows(60, 2)) == report(rows(60, 2))


def test_the_page_and_the_figure_show_every_measure(tmp_path):
    from entailment.reporting.figures import save_figure

    found = report(rows(60, 2), np.zeros(60, np.int64))
    page = drift_markdown(found)
    assert "| predicted_labels |" in page and "**yes**" in page and "60 new rows against 200" in page
    save_figure(drift_figure(found), tmp_path / "drift.png")
    assert (tmp_path / "drift.png").stat().st_size > 5_000


def test_the_area_is_scikit_learn_s_and_its_interval_covers():
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(0)
    positive = np.arange(300) < 100
    inside = 0
    for _ in range(100):
        scores = generator.normal(size=300) + positive
        auc, low, high = auc_with_interval(scores, positive, 0.9)
        assert auc == pytest.approx(roc_auc_score(positive, scores))
        inside += low <= 0.7602 <= high
    assert 80 <= inside <= 98
    with pytest.raises(ValueError, match="two rows of each kind"):
        auc_with_interval(scores[:3], np.array([True, False, False]), 0.9)
