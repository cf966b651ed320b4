"""Training the head: it learns, repeats itself to the bit, keeps the best epoch and stops."""

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.head import Head
from entailment.configuration.training import Training
from entailment.errors import DataError, EntailmentError
from entailment.files import write_json
from entailment.losses import LOSSES
from entailment.model.features import SplitFeatures
from entailment.model.training import load_trained, predict, save_trained, train_head

HEAD = Head(projection_units=16)


def split(rows, seed):
    """The label is how far apart the two vectors are."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, rows)
    first = random.normal(size=(rows, 12)).astype(np.float32)
    second = first + labels[:, None].astype(np.float32) * random.choice([-1, 1], size=(rows, 12)).astype(
        np.float32
    )
    ones = np.ones((rows, 1), np.float32)
    inputs = {"text_1": first, "text_1_present": ones, "text_2": second, "text_2_present": ones}
    return SplitFeatures(inputs, labels, pd.DataFrame({"id_1": [""] * rows, "id_2": [""] * rows}))


TRAIN, VALIDATION = split(300, 0), split(90, 1)


def test_it_learns_and_reports_every_epoch():
    seen = []
    config = Training(epochs=30, patience=0)
    trained = train_head(
        TRAIN, VALIDATION, HEAD, config, 1, lambda epoch, figures: seen.append((epoch, figures))
    )
    assert [epoch for epoch, _ in seen] == list(range(1, 31))
    names = {"train/loss", "val/loss", "val/nll", "train/accuracy", "val/accuracy", "val/macro_f1"}
    assert all(set(figures) == names for _, figures in seen)
    assert max(trained.history["val/macro_f1"]) > 0.7
    assert trained.history["train/loss"][-1] < trained.history["train/loss"][0]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_seed_gives_the_same_bits(loss):
    config = Training(epochs=2, loss=loss)
    first, again, other = (train_head(TRAIN, VALIDATION, HEAD, config, seed) for seed in (1, 1, 2))
    assert first.history == again.history
    assert (predict(first.model, VALIDATION) == predict(again.model, VALIDATION)).all()
    assert (predict(first.model, VALIDATION) != predict(other.model, VALIDATION)).any()


def test_the_best_epoch_is_kept_and_patience_ends_it():
    trained = train_head(TRAIN, VALIDATION, HEAD, Training(epochs=60, patience=3), 1)
    scores = trained.history["val/macro_f1"]
    assert len(scores) < 60
    assert trained.best_epoch == int(np.argmax(scores)) + 1 == len(scores) - 3
    answers = predict(trained.model, VALIDATION).argmax(axis=1)
    assert np.mean(answers == VALIDATION.labels) == pytest.approx(
        trained.history["val/accuracy"][trained.best_epoch - 1]
    )


def test_the_last_epoch_is_kept_when_that_is_asked_for():
    trained = train_head(TRAIN, VALIDATION, HEAD, Training(epochs=12, keep="last", patience=3), 1)
    assert len(trained.history["val/loss"]) == 12 and trained.best_epoch == 12
    accuracy = (predict(trained.model, VALIDATION).argmax(axis=1) == VALIDATION.labels).mean()
    assert accuracy == pytest.approx(trained.history["val/accuracy"][-1])


def test_a_loss_that_is_no_number_stops_and_is_named():
    broken = SplitFeatures(
        {**TRAIN.inputs, "text_1": TRAIN.inputs["text_1"] * np.nan}, TRAIN.labels, TRAIN.ids
    )
    with pytest.raises(EntailmentError, match="stopped in epoch 1, step 1: train/loss is nan"):
        train_head(broken, VALIDATION, HEAD, Training(epochs=2), 1)


def test_saved_and_loaded_it_answers_the_same(tmp_path):
    trained = train_head(TRAIN, VALIDATION, HEAD, Training(epochs=1), 1)
    save_trained(trained, tmp_path / "head")
    loaded = load_trained(tmp_path / "head")
    assert (loaded.best_epoch, loaded.history) == (trained.best_epoch, trained.history)
    assert (predict(loaded.model, VALIDATION) == predict(trained.model, VALIDATION)).all()
    record = tmp_path / "head" / "training.json"
    history = {name.replace("/", "_"): values for name, values in trained.history.items()}
    earlier = {"format": 1, "best_epoch": trained.best_epoch - 1, "history": history}
    write_json(record, earlier)
    loaded = load_trained(tmp_path / "head")
    assert (loaded.best_epoch, loaded.history) == (trained.best_epoch, trained.history)
    write_json(record, earlier | {"format": 3})
    with pytest.raises(DataError, match=r"training\.json is of format 3.* newer version"):
        load_trained(tmp_path / "head")
    record.write_text("{")
    with pytest.raises(DataError, match="Train again"):
        load_trained(tmp_path / "head")


def test_a_loss_that_is_added_is_trained_with(monkeypatch):
    """One function under its name is all that a new loss is."""
    from entailment import losses
    from entailment.configuration import training as settings
    from entailment.model import training

    def halves(given):
        return lambda labels, logits: losses.cross_entropy(given)(labels, logits) / 2

    known = {**losses.LOSSES, "halves": halves}
    for module in (losses, settings, training):
        monkeypatch.setattr(module, "LOSSES", known)
    half, whole = (
        train_head(TRAIN, VALIDATION, HEAD, Training(epochs=1, loss=loss), 1).history
        for loss in ("halves", "cross_entropy")
    )
    # Adam's steps do not depend on the scale of the loss, nearly.
    assert half["train/loss"][0] == pytest.approx(whole["train/loss"][0] / 2, rel=1e-2)
