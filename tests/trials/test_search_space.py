"""The search space: every key exists, its values are valid, the starting values are among them."""

import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import with_values
from entailment.configuration.section import dotted
from entailment.trials.search_space import SPACE, starting_values, suggested


class Extremes:
    """A trial that suggests the first or the last value of everything and notes what it was asked for."""

    def __init__(self, last):
        self.last, self.asked = last, {}

    def suggest_categorical(self, name, choices):
        self.asked[name] = choices
        return choices[-1 if self.last else 0]

    def suggest_float(self, name, low, high, log):
        self.asked[name] = (low, high)
        return high if self.last else low

    suggest_int = suggest_float


def test_a_loss_has_its_settings_only():
    for loss, asked in (("focal", True), ("cross_entropy", False)):
        trial = Extremes(False)
        start = with_values(Configuration(), {"training.loss": loss})
        suggested(trial, start, fixed=["training.loss"])
        assert ("training.focal_gamma" in trial.asked) == asked


@pytest.mark.parametrize("inputs", ["multimodal", "text", "image"])
@pytest.mark.parametrize("last", [False, True])
def test_both_ends_of_every_key_are_valid(inputs, last):
    trial = Extremes(last)
    chosen = suggested(trial, Configuration(inputs=inputs))
    assert Configuration.model_validate(chosen.model_dump()) == chosen
    assert {key: dotted(chosen)[key] for key in trial.asked} != starting_values(Configuration(inputs=inputs))
    assert ("head.modality_dropout" in trial.asked) == (inputs == "multimodal")
    assert ("training.focal_gamma" in trial.asked) == (chosen.training.loss == "focal")


def test_pair_features_are_asked_for_where_there_are_two_vectors():
    packed = with_values(Configuration(inputs="text"), {"encoders.text.encode": "pair"})
    trial = Extremes(False)
    suggested(trial, packed)
    assert "head.pair_features" not in trial.asked and "head.pair_features" not in starting_values(packed)


def test_starting_values_out_of_the_space_are_added_to_it():
    start = with_values(
        Configuration(), {"training.learning_rate": 0.5, "training.batch_size": 7, "head.projection_units": 5}
    )
    trial = Extremes(True)
    suggested(trial, start)
    assert trial.asked["training.learning_rate"] == (1e-4, 0.5)
    assert 7 in trial.asked["training.batch_size"] and 5 in trial.asked["head.projection_units"]


def test_every_key_is_there_and_says_what_it_decides():
    assert {dimension.key for dimension in SPACE} <= set(dotted(Configuration()))
    assert all(dimension.why for dimension in SPACE)
