import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entailment.statistics.calibration import (
    BINS,
    COLDEST,
    HOTTEST,
    PRIOR,
    calibration_report,
    expected_calibration_error,
    fit_temperature,
    helpful_temperature,
    softmax,
)
from entailment.statistics.wilson import wilson


def drawn(rows, seed=0, scale=2.0):
    """Logits, and labels drawn with just the probabilities that they give."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, 3)) * scale
    labels = (softmax(logits).cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1)
    return logits, labels


def slow_error(true, probabilities):
    """The definition, bin by bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    error = 0.0
    for index in range(BINS):
        inside = (confidence > index / BINS) & (confidence <= (index + 1) / BINS)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_the_error_is_that_of_its_definition(rows, seed):
    generator = np.random.default_rng(seed)
    true, probabilities = generator.integers(0, 3, rows), generator.dirichlet([1, 1, 1], rows)
    assert expected_calibration_error(true, probabilities) == pytest.approx(slow_error(true, probabilities))


def test_errors_that_are_known():
    sure = np.eye(3)[[0, 0, 1, 2]]
    assert expected_calibration_error(np.array([0, 0, 1, 2]), sure) == 0
    assert expected_calibration_error(np.array([1, 1, 2, 0]), sure) == 1
    assert expected_calibration_error(np.array([0, 0, 1, 0]), sure) == pytest.approx(0.25)
    # Two bins: 0.9 sure and half right, 0.6 sure and right; their rows weigh.
    mixed = np.array([[0.9, 0.05, 0.05]] * 2 + [[0.6, 0.2, 0.2]] * 2)
    assert expected_calibration_error(np.array([0, 1, 0, 0]), mixed) == pytest.approx((0.4 + 0.4) / 2)


def test_a_probability_on_a_bound_or_a_little_above_1_has_a_bin():
    probabilities = np.array([[1.0000001, 0, 0], [0.6, 0.2, 0.2]])
    report = calibration_report(np.array([0, 0]), probabilities, probabilities, 1.0, 0.95)
    rows = [entry["rows"] for entry in report["before"]["bins"]]
    assert rows[14] == 1 and rows[8] == 1 and sum(rows) == 2


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5, 6.0])
def test_the_temperature_that_was_put_in_is_found(factor):
    logits, labels = drawn(20_000)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_nothing_near_explains_the_labels_better():
    logits, labels = drawn(60, seed=3)

    def loss(temperature):
        likelihood = np.log(softmax(logits / temperature)[np.arange(60), labels]).sum()
        return PRIOR * (1 / temperature - 1 + np.log(temperature)) - likelihood

    fitted = fit_temperature(logits, labels)
    for other in np.geomspace(COLDEST, HOTTEST, 400):
        assert loss(fitted) <= loss(other) + 1e-9


def test_few_rows_that_are_all_right_do_not_ask_for_certainty():
    labels = np.array([0, 1, 2] * 20)
    logits = np.eye(3)[labels] * 6.0
    fitted = fit_temperature(logits, labels)
    assert 0.4 < fitted < 1
    assert fit_temperature(np.repeat(logits, 2000, axis=0), np.repeat(labels, 2000)) < fitted


def test_the_temperature_stays_in_its_bounds():
    labels = np.array([0, 1, 2] * 2000)
    right = np.eye(3)[labels]
    assert fit_temperature(right * 1e-2, labels) == pytest.approx(COLDEST)
    assert fit_temperature(np.roll(right, 1, axis=1) * 100, labels) == pytest.approx(HOTTEST)
    assert fit_temperature(np.zeros((5, 3)), np.zeros(5, int)) == pytest.approx(1)


def test_the_same_rows_give_the_same_bits_and_float32_suffices():
    logits, labels = drawn(100)
    assert fit_temperature(logits, labels) == fit_temperature(logits.copy(), labels)
    assert fit_temperature(logits.astype(np.float32), labels) == pytest.approx(
        fit_temperature(logits, labels), rel=1e-5
    )


def test_a_temperature_that_helps_is_kept_and_one_that_would_not_is_1():
    logits, labels = drawn(60, seed=1)
    assert helpful_temperature(logits * 4, labels) == fit_temperature(logits * 4, labels) > 2
    # Probabilities that are right as they are: what is fitted is chance, and is mostly found out.
    kept = [helpful_temperature(*drawn(60, seed)) for seed in range(20)]
    assert kept.count(1.0) >= 12
    assert helpful_temperature(logits[:4] * 4, labels[:4]) == 1


def test_the_verdict_says_what_the_temperature_did_to_these_rows():
    logits, labels = drawn(500)
    as_they_are, too_flat = softmax(logits), softmax(logits / 3)

    def verdict(before, after, temperature):
        return calibration_report(labels, before, after, temperature, 0.95)["verdict"]

    assert "made it worse here" in verdict(as_they_are, too_flat, 3.0)
    assert "made it better here" in verdict(too_flat, as_they_are, 0.33)
    assert "temperature is 1" in verdict(as_they_are, as_they_are, 1.0)


def test_bins_say_how_sure_their_accuracy_is():
    logits, labels = drawn(300)
    for entry in calibration_report(labels, softmax(logits), softmax(logits), 1.0, 0.9)["after"]["bins"]:
        if entry["rows"]:
            right = round(entry["accuracy"] * entry["rows"])
            ends = [float(end) for end in wilson(right, entry["rows"], 0.9)]
            assert [entry["accuracy_low"], entry["accuracy_high"]] == pytest.approx(ends)
        else:
            assert entry["accuracy_low"] is None


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "at least one row"),
        (np.zeros((2, 3)), np.zeros(3, int), r"\(2, 3\) and \(3,\)"),
        (np.array([[np.nan, 0, 0]]), np.zeros(1, int), "finite"),
    ],
)
def test_wrong_logits_are_named(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, labels)


def test_the_report_says_what_the_temperature_does():
    logits, labels = drawn(3_000, seed=5)
    hot = logits * 3
    fitted = fit_temperature(hot, labels)
    report = calibration_report(labels, softmax(hot), softmax(hot / fitted), fitted, 0.95)
    assert report["temperature"] == fitted == pytest.approx(3, rel=0.1)
    assert report["after"]["ece"] < 0.04 < report["before"]["ece"]
    assert report["after"]["negative_log_likelihood"] < report["before"]["negative_log_likelihood"]
    for side in ("before", "after"):
        bins = report[side]["bins"]
        assert len(bins) == BINS and sum(entry["rows"] for entry in bins) == 3_000
        assert all((entry["accuracy"] is None) == (entry["rows"] == 0) for entry in bins)
        assert all(entry["above"] < entry["confidence"] <= entry["up_to"] for entry in bins if entry["rows"])
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_probability_of_0_for_the_label_is_no_infinite_loss():
    sure = np.array([[1.0, 0.0, 0.0]])
    report = calibration_report(np.array([1]), sure, sure, 1.0, 0.95)
    assert 50 < report["before"]["negative_log_likelihood"] < 100


# ---- in the model


def head_and_inputs(rows=200):
    from entailment.configuration.head import Head
    from entailment.model.head import build_head

    inputs = {
        "text": np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32),
        "text_present": np.ones((rows, 1), np.float32),
    }
    return build_head({"text": 6, "text_present": 1}, Head(projection_units=8), 3), inputs


def test_a_new_head_is_not_tempered_and_a_set_temperature_divides_its_logits():
    from entailment.model.head import logits_model, set_temperature, temperature_of

    head, inputs = head_and_inputs()
    logits = np.asarray(logits_model(head)(inputs))
    assert temperature_of(head) == 1
    before = np.asarray(head(inputs))
    np.testing.assert_allclose(before, softmax(logits), atol=1e-6)
    set_temperature(head, 2.5)
    after = np.asarray(head(inputs))
    np.testing.assert_allclose(after, softmax(logits / 2.5), atol=1e-6)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert (after.max(axis=1) < before.max(axis=1)).all()
    np.testing.assert_array_equal(np.asarray(logits_model(head)(inputs)), logits)
    with pytest.raises(ValueError, match="above 0"):
        set_temperature(head, 0)


def test_the_temperature_is_saved_with_the_model_and_is_not_trained(tmp_path):
    from entailment.model.head import load_head, set_temperature, temperature_of

    head, inputs = head_and_inputs()
    trainable = len(head.trainable_weights)
    set_temperature(head, 1.75)
    assert len(head.trainable_weights) == trainable
    assert not any("temperature" in weight.path for weight in head.trainable_weights)
    head.save(tmp_path / "head.keras")
    loaded = load_head(tmp_path / "head.keras")
    assert temperature_of(loaded) == 1.75
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(head(inputs)))


def test_training_fits_the_temperature_on_the_validation_rows():
    from entailment.configuration.head import Head
    from entailment.configuration.training import Training
    from entailment.model.features import SplitFeatures
    from entailment.model.head import logits_model, temperature_of
    from entailment.model.training import predict, train_head

    def split(rows, seed):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 3, rows)
        # A third of the labels say nothing, so that a long training becomes too sure.
        shown = np.where(random.random(rows) < 0.67, labels, random.integers(0, 3, rows))
        vectors = (np.eye(6)[shown] * 2 + random.normal(size=(rows, 6))).astype(np.float32)
        inputs = {"text": vectors, "text_present": np.ones((rows, 1), np.float32)}
        return SplitFeatures(inputs, labels, pd.DataFrame({"id_1": [""] * rows, "id_2": [""] * rows}))

    validation, test = split(200, 1), split(1000, 2)
    config = Training(epochs=30, patience=0, learning_rate=0.02)
    trained = train_head(split(80, 0), validation, Head(projection_units=64), config, 1)
    logits = logits_model(trained.model)
    fitted = temperature_of(trained.model)
    assert fitted == pytest.approx(
        helpful_temperature(predict(logits, validation), validation.labels), rel=1e-6
    )
    assert fitted > 1.2
    before, after = softmax(predict(logits, test)), predict(trained.model, test)
    report = calibration_report(test.labels, before, after, fitted, 0.95)
    losses = [report[side]["negative_log_likelihood"] for side in ("after", "before")]
    assert losses == sorted(losses)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
