"""What the command line says at the end of a run."""

from types import SimpleNamespace

import pytest

from entailment.encoders.feature_store import Usage
from entailment.metric_names import (
    MAJORITY_ACCURACY,
    TEST,
    WORDS_ACCURACY,
    WORDS_DIFFERENCE,
    WORDS_DIFFERENCE_HIGH,
    WORDS_DIFFERENCE_LOW,
    WORDS_MACRO_F1,
    in_group,
)
from entailment.task import LABELS
from entailment.trials.cross_validation import OF_BASELINES
from summaries.results import comparison_summary, cross_validation_summary, schedules_table, training_summary

MAJORITY = (MAJORITY_ACCURACY, *OF_BASELINES[:4])


def test_a_failed_variant_and_fold_say_why_beside_the_others():
    figures = dict.fromkeys(("accuracy", "macro_f1", "balanced_accuracy", MAJORITY_ACCURACY), 0.5)
    figures |= {WORDS_MACRO_F1: None}
    figures |= dict.fromkeys(("f1_contradictory", "f1_implies", "f1_no_entailment"), 0.25)
    figures |= {"macro_f1_std": None, "macro_f1_low": 0.4, "macro_f1_high": 0.6, "error": ""}
    fine = figures | {"variant": "text_focal", "differs": "best", "fold": "1", "rows": 20.0}
    failed = {"variant": "text_weighted", "fold": "2", "error": "loss is inf"}
    pooled = fine | {"fold": "pooled"}
    source = {"name": "mine", "rows": 60, "generated": False}
    common = {
        "steps": 5,
        "cached": 0,
        "source": source,
        "parent_run_id": "abc",
        "confidence": 0.95,
        "labels": LABELS,
        "suspicious": 7,
    }
    compared = comparison_summary(
        SimpleNamespace(table=[fine, failed], verdict=["text_focal is best."], **common)
    ).splitlines()
    assert compared[2].split()[:3] == ["variant", "accuracy", "macro-F1"]
    shown = "text_focal 0.500 0.500 0.400 to 0.600 0.500 .25 / .25 / .25 best"
    assert " ".join(compared[3].split()) == shown
    assert compared[4].split() == ["text_weighted", "FAILED:", "loss", "is", "inf"]
    assert compared[4].index("FAILED") == compared[3].index("best")
    assert compared[5] == "text_focal is best."
    folds = cross_validation_summary(SimpleNamespace(table=[fine, failed, pooled], **common)).splitlines()
    assert folds[3].split() == ["1", "20", *["0.500"] * 4, *["0.250"] * 3]
    assert folds[4].split() == ["2", "FAILED:", "loss", "is", "inf"]
    assert folds[6] == "Pooled    macro-F1 0.500 (95% interval 0.400 to 0.600)"
    assert folds[7] == "Labels    7 look suspicious: up to 100 are in suspicious_labels.csv of the run"
    pooled |= {WORDS_MACRO_F1: 0.45} | dict.fromkeys(OF_BASELINES, 0.05)
    folds = cross_validation_summary(SimpleNamespace(table=[fine, pooled], **common)).splitlines()
    assert folds[4].split()[2:4] == ["0.500", "0.450"]
    assert folds[-3].strip() == "it is really better than that: +0.050 (95%: +0.050 to +0.050)"


def test_schedules_and_their_runs_are_two_tables():
    state = {"name": "often", "cron": "* * * * *", "state": "active", "next_run": "2026-01-01T00:00:00+00:00"}
    state |= {"last_run": None, "last_state": None, "runs": []}
    head, row = schedules_table([SimpleNamespace(**state)]).splitlines()
    assert row.split("  ")[0] == "often" and row.split() == [
        "often",
        *"*****",
        "active",
        state["next_run"],
        "-",
        "-",
    ]
    assert head.index("next run") == row.index(state["next_run"])
    run = {"name": "retraining-2026_01_01", "status": "completed"}
    shown = schedules_table([SimpleNamespace(**state | {"runs": [run]})]).split("\n\n")
    assert shown[1].splitlines()[1].split() == ["often", "retraining-2026_01_01", "completed"]
    assert schedules_table([]) == "No schedules."


def test_a_training_says_which_classes_have_no_test_row_and_that_images_were_not_used():
    figures = {"macro_f1": 0.5, "macro_f1_low": 0.4, "macro_f1_high": 0.6, "accuracy": 0.7}
    counts = {"train": dict.fromkeys(LABELS, 9), "validation": dict.fromkeys(LABELS, 1)}
    result = SimpleNamespace(
        cached=[],
        steps=9,
        source={"name": "mine", "rows": 38, "generated": False, "sha256": "a" * 64},
        image_report=None,
        split_report={"counts": counts | {"test": dict(zip(LABELS, (4, 0, 4), strict=True))}},
        features=Usage(),
        metrics=in_group(figures | dict.fromkeys(MAJORITY, 0.5), TEST),
        model="multimodal-entailment",
        model_version="1",
        champion="",
        confidence=0.95,
    )
    told = training_summary(result)
    assert "no test row of Implies" in told and "no test row of Contradictory" not in told
    assert "Images    not used" in told and "promote 1" in told and "words alone" not in told
    words = {WORDS_MACRO_F1: 0.48, WORDS_ACCURACY: 0.71, WORDS_DIFFERENCE: 0.02}
    words |= {WORDS_DIFFERENCE_LOW: -0.01, WORDS_DIFFERENCE_HIGH: 0.05}
    result.metrics |= words
    assert "it is NOT shown to be better than that: +0.020 (95%: -0.010 to +0.050)" in training_summary(
        result
    )
    result.metrics[WORDS_DIFFERENCE_LOW] = 0.01
    assert "it is really better than that: +0.020 (95%: +0.010 to +0.050)" in training_summary(result)


@pytest.mark.parametrize(
    "labels", [LABELS, ("agrees strongly", "agrees", "neutral", "disagrees", "can't say")]
)
def test_tables_fit_into_80_columns(labels):
    from entailment.trials.comparison import compared_figures
    from entailment.trials.cross_validation import fold_figures

    figures = dict.fromkeys((*compared_figures(labels), *fold_figures(labels)), 0.12345)
    figures |= {
        "macro_f1_std": 0.1,
        "macro_f1_low": 0.4,
        "macro_f1_high": 0.6,
        "error": "",
        "rows": 1000.0,
    }
    variants = [
        f"{inputs}_{loss}" for inputs in ("multimodal", "text") for loss in ("cross_entropy", "weighted")
    ]
    table = [
        figures | {"variant": name, "fold": name, "differs": "no: interval holds 0"} for name in variants
    ]
    table += [{"variant": "image_focal", "fold": "3", "error": "seed 42: " + "train/loss is nan. " * 9}]
    table += [figures | {"variant": "always neutral", "fold": "pooled", "differs": "yes"}]
    source = {"name": "mine", "rows": 60, "generated": True}
    common = {"steps": 5, "cached": 0, "source": source, "parent_run_id": "a" * 32, "confidence": 0.95}
    common |= {"suspicious": 0}
    table[-1] |= dict.fromkeys(OF_BASELINES, 0.05)
    result = SimpleNamespace(table=table, labels=labels, verdict=["It is really better. " * 9], **common)
    compared, folds = comparison_summary(result, 80), cross_validation_summary(result, 80)
    for line in (*compared.splitlines(), *folds.splitlines()):
        assert len(line) <= 80 or "run_pipeline.py" in line
    assert "no: interval holds 0" in compared and "0.400 to 0.600" in compared
    assert all(f"F1 {label}" in folds for label in labels)
