"""The search: seeded, resumable, pruned, on validation folds; failed and interrupted trials are kept."""

from pathlib import Path

import numpy as np
import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import with_values
from entailment.configuration.section import dotted
from entailment.configuration.training import Training
from entailment.data.split import fold_rows
from entailment.errors import EntailmentError
from entailment.model.end_to_end import Workplace
from entailment.trials.search import judged_on_folds, search, study_name
from entailment.trials.search_space import SPACE
from tests.model.test_training import HEAD, split

START = Configuration(inputs="text", training=Training(epochs=6))
TRAINED = with_values(START, {"encoders.text.trainable": 1})
STUDY = {
    "configuration": START,
    "fixed": [],
    "folds": 3,
    "features": "f",
    "records": "r",
    "encoders": {"text": "t"},
}
NOWHERE = Workplace(Path("none"), Path("none"), Path("none"))
"""Frozen features need no folder."""


def objective(configuration, on_epoch):
    """Best at a learning rate of 0.003, a dropout of 0.2; the epochs of two folds say so."""
    distance = abs(np.log10(configuration.training.learning_rate / 0.003))
    value = float(1 - distance / 4 - abs(configuration.head.dropout - 0.2))
    for epoch in range(6):
        on_epoch(0, epoch + 1, {"val/macro_f1": value, "val/loss": epoch})
    on_epoch(1, 1, {"val/macro_f1": value, "val/loss": 1})
    return {"macro_f1": value, "accuracy": value}


def tried(found):
    return [(trial.number, trial.state, trial.value, dotted(trial.configuration)) for trial in found.trials]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A search, and its trials as they were told one by one."""
    seen = []
    file = tmp_path_factory.mktemp("long") / "t.db"
    return search(file, "s", START, 20, objective, on_trial=seen.append), seen


def test_the_start_is_tried_first_and_the_best_is_found(long):
    found, seen = long
    assert found.trials[0].configuration == START and found.earlier == 0
    assert found.best.value == max(trial.value for trial in found.trials if trial.value is not None)
    assert found.best.value > found.trials[0].value
    assert [trial.number for trial in seen] == list(range(20))
    assert seen[0].metrics["accuracy"] == seen[0].value
    assert seen[0].curves["val/loss"] == [0.5, 1, 2, 3, 4, 5]


def test_hopeless_trials_are_stopped_early(long):
    found, seen = long
    pruned = [trial for trial in seen if trial.state == "pruned"]
    assert pruned and all(trial.value is None and trial.number >= 5 for trial in pruned)
    assert all(trial.curves["val/loss"] == [0, 1, 2, 3, 4, 5] for trial in pruned)
    assert [trial.state for trial in found.trials] == [trial.state for trial in seen]


def test_trials_divided_into_calls_are_the_same_trials(long, tmp_path):
    whole, _ = long
    search(tmp_path / "b.db", "s", START, 5, objective)
    parts = search(tmp_path / "b.db", "s", START, 8, objective)
    assert parts.earlier == 5
    assert tried(parts) == tried(whole)[:13]
    other = search(tmp_path / "c.db", "s", with_values(START, {"seed": 7}), 3, objective)
    assert dotted(other.trials[1].configuration) != {**dotted(whole.trials[1].configuration), "seed": 7}


def test_a_failing_trial_is_kept_with_its_reason_and_ends_nothing(tmp_path):
    def fails_once(configuration, on_epoch):
        if configuration != START:
            raise EntailmentError("the loss is inf")
        return objective(configuration, on_epoch)

    found = search(tmp_path / "t.db", "s", START, 3, fails_once)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "failed"]
    assert found.trials[1].error == "the loss is inf" and found.best.number == 0


def test_where_every_trial_failed_the_last_reason_is_told(tmp_path):
    def fails(configuration, on_epoch):
        raise EntailmentError("the loss is inf")

    with pytest.raises(EntailmentError, match=r"No trial .*: the loss is inf"):
        _ = search(tmp_path / "t.db", "s", START, 2, fails).best


class StoppedError(Exception):
    """What an orchestrator raises to end a step."""


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, StoppedError])
def test_an_interruption_keeps_the_finished_trials(interruption, tmp_path):
    calls = []

    def interrupted(configuration, on_epoch):
        calls.append(configuration)
        if len(calls) == 3:
            raise interruption
        return objective(configuration, on_epoch)

    with pytest.raises(interruption):
        search(tmp_path / "t.db", "s", START, 9, interrupted, interruptions=(StoppedError,))
    found = search(tmp_path / "t.db", "s", START, 1, objective)
    assert found.earlier == 3
    assert [trial.state for trial in found.trials] == ["complete", "complete", "failed", "complete"]
    assert found.trials[2].error == "interrupted"


def test_the_trial_of_a_killed_process_counts_as_failed(tmp_path):
    import optuna

    search(tmp_path / "t.db", "s", START, 1, objective)
    optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path / 't.db'}").ask()
    found = search(tmp_path / "t.db", "s", START, 1, objective)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]


def test_fixed_keys_stay(tmp_path):
    fixed = [dimension.key for dimension in SPACE if dimension.key != "head.dropout"]
    found = search(tmp_path / "t.db", "s", START, 4, objective, fixed=fixed)
    for trial in found.trials:
        assert with_values(trial.configuration, {"head.dropout": START.head.dropout}) == START
    assert len({trial.configuration.head.dropout for trial in found.trials}) == 4


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"configuration": with_values(START, {"head.dropout": 0.3})}, False),
        ({"configuration": with_values(START, {"seed": 1})}, False),
        ({"fixed": ["head.dropout"]}, False),
        ({"fixed": ["dataset.source"]}, True),
        ({"folds": 4}, False),
        ({"features": "other"}, False),
        # Another number of rows in a file, say: only encoders that are trained read the records.
        ({"records": "other"}, True),
        ({"encoders": {"text": "other"}}, True),
        ({"configuration": TRAINED}, False),
    ],
)
def test_a_study_is_named_after_what_its_values_depend_on(changed, same):
    assert (study_name(**STUDY) == study_name(**(STUDY | changed))) is same


def test_a_study_that_trains_encoders_is_named_after_records_and_modules_too():
    trained = STUDY | {"configuration": TRAINED}
    names = [
        study_name(**(trained | change)) for change in ({}, {"records": "o"}, {"encoders": {"text": "o"}})
    ]
    assert len(set(names)) == 3


OF_TRIALS = (*("seed", "inputs", "head.", "training.", "task.labels"), "encoders.text.")
"""Keys that change a trial on given records, of texts alone."""
OTHER_VALUES = {
    "inputs": "image",
    "encoders.text.encode": "pair",
    "encoders.text.preprocessor": "elsewhere",
    "head.attention": "cross",
    "training.loss": "focal",
    "training.class_weights": [1, 2, 3],
    "training.keep": "last",
    "images.missing": "drop",
    "split.method": "hash",
    "split.on_leak": "error",
    "promotion.baseline": "words",
    "drift.action": "stop",
    "drift.features": 0.7,
    "task.labels": ["yes", "no", "neither"],
    "task.label_map": {"2": "Implies"},
    "schedule.alert_url": "https://hooks.example/x",
}


@pytest.mark.parametrize("key", list(dotted(START)))
def test_a_setting_that_no_trial_depends_on_begins_no_new_study(key):
    before = dotted(START)[key]
    counted = {bool: lambda: not before, int: lambda: before + 8, float: lambda: before * 0.9 or 0.1}
    value = OTHER_VALUES.get(key) or counted.get(type(before), lambda: f"{before or 'an'}-other")()
    changed = study_name(**(STUDY | {"configuration": with_values(START, {key: value})}))
    depends = key.startswith(OF_TRIALS) and not key.endswith((".encoder", ".preprocessor"))
    assert (changed != study_name(**STUDY)) is depends


def test_a_configuration_is_judged_on_the_folds_alone_and_repeats_to_the_bit():
    features = split(120, 0)
    configuration = Configuration(inputs="text", head=HEAD, training=Training(epochs=2, learning_rate=0.01))
    folds = fold_rows(features.labels, 2, 1)
    epochs = []
    first = judged_on_folds(features, folds, configuration, NOWHERE, lambda *epoch: epochs.append(epoch))
    assert [(fold, epoch) for fold, epoch, _ in epochs] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert judged_on_folds(features, folds, configuration, NOWHERE, lambda *epoch: None) == first
    # Both folds have 60 rows, so accuracy over all is the mean of that of the epochs kept.
    kept = [max((e for e in epochs if e[0] == fold), key=lambda e: e[2]["val/macro_f1"]) for fold in (0, 1)]
    assert first["accuracy"] == pytest.approx(np.mean([figures["val/accuracy"] for _, _, figures in kept]))
