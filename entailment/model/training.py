"""Training the head on stored features."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration import Head, Training
from entailment.errors import DataError, EntailmentError
from entailment.evaluation.calibration import fit_temperature
from entailment.evaluation.metrics import macro_f1
from entailment.files import read_json, write_json
from entailment.model.featurizer import SplitFeatures
from entailment.model.head import build_head, load_head, logits_model, set_temperature
from entailment.model.losses import build_loss

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

_ROWS_AT_ONCE: Final = 256
"""Rows that a head answers together: of sequences they hold 100 MB."""

EpochSink = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number (from 0) and its figures."""


@dataclass(frozen=True)
class TrainedHead:
    """A trained head and how its training went."""

    model: Any
    """A keras.Model; typed Any, because this class is inspected where Keras must not be imported."""
    best_epoch: int
    """The epoch, from 0, whose weights were kept."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """By name one figure an epoch: train_loss, val_loss, train_accuracy, val_accuracy, val_macro_f1."""


def make_deterministic(seed: int) -> None:
    """Seeds Python, NumPy and Keras and asks TensorFlow for operations that give the same bits every time."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train_head(
    train: SplitFeatures,
    validation: SplitFeatures,
    head: Head,
    config: Training,
    seed: int,
    on_epoch: EpochSink = lambda epoch, figures: None,
) -> TrainedHead:
    """Trains a new head, keeping the epoch with the best validation macro-F1 (the earliest of equals).

    The kept head's probabilities are then calibrated on the validation rows (`fit_temperature`).
    Stops after `config.patience` epochs without a better one (0: never). The same features and seed give
    the same weights, bit for bit, on one machine.

    Raises:
        EntailmentError: the loss is no longer a finite number.
    """
    import keras

    make_deterministic(seed)
    model = build_head({name: column.shape[1:] for name, column in train.inputs.items()}, head)
    trained = logits_model(model)
    loss = build_loss(config, train.labels)
    trained.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=loss,
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    recorder = _recorder(validation, loss, config, on_epoch)
    trained.fit(
        batches(train, config.batch_size, seed),
        epochs=config.epochs,
        shuffle=False,  # the dataset is shuffled already
        verbose=0,
        callbacks=[recorder],
    )
    trained.set_weights(recorder.best_weights)
    set_temperature(model, fit_temperature(predict(trained, validation), validation.labels))
    return TrainedHead(model, recorder.best_epoch, recorder.history)


def batches(features: SplitFeatures, size: int, seed: int) -> "tf.data.Dataset":
    """Batches of (inputs, labels) in an order that differs by epoch and is the same for the same seed.

    Only the order is held: the features of a batch are read from the store while the batch before it is trained on.
    """
    import tensorflow as tf

    names = list(features.inputs)

    def read(rows: "np.ndarray") -> "list[np.ndarray]":
        inputs = features.take(rows)
        return [*(inputs[name] for name in names), features.labels[rows]]

    def load(rows: Any) -> tuple[dict[str, Any], Any]:
        *columns, labels = tf.numpy_function(read, [rows], [tf.float32] * len(names) + [tf.int64])
        shaped = {
            name: tf.ensure_shape(column, (None, *features.inputs[name].shape[1:]))
            for name, column in zip(names, columns, strict=True)
        }
        return shaped, tf.ensure_shape(labels, (None,))

    count = len(features.labels)
    rows = tf.data.Dataset.range(count).shuffle(count, seed=seed).batch(size)
    return rows.map(load).prefetch(2)


def predict(model: Any, features: SplitFeatures) -> "np.ndarray":
    """What the model answers for each row: probabilities, float32 [n, 3] (logits while it is trained)."""
    import numpy as np

    starts = range(0, len(features.labels), _ROWS_AT_ONCE)
    # Called directly: tracing a graph for it takes longer than the few calls that a training needs.
    answers = [model(features.take(slice(i, i + _ROWS_AT_ONCE)), training=False) for i in starts]
    return np.concatenate([np.asarray(answer) for answer in answers])


def save_trained(trained: TrainedHead, folder: Path) -> None:
    """Writes `head.keras` and `training.json` into a new folder."""
    folder.mkdir(parents=True)
    trained.model.save(folder / "head.keras")
    write_json(folder / "training.json", {"best_epoch": trained.best_epoch, "history": trained.history})


def load_trained(folder: Path) -> TrainedHead:
    """Reads what `save_trained` wrote. Raises DataError when it cannot be read."""
    try:
        record = read_json(folder / "training.json")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'training.json'} cannot be read: {error}. Train again.") from None
    return TrainedHead(load_head(folder / "head.keras"), record["best_epoch"], record["history"])


def _recorder(validation: SplitFeatures, loss: Any, config: Training, on_epoch: EpochSink) -> Any:
    import keras
    from tqdm import tqdm

    class Recorder(keras.callbacks.Callback):
        """Adds the validation macro-F1, keeps the best weights, stops when there is no progress."""

        def __init__(self) -> None:
            super().__init__()
            self.history: dict[str, list[float]] = {}
            self.best = -1.0
            self.best_epoch = 0
            self.best_weights: list[Any] = []
            self.bar = tqdm(total=config.epochs, unit="epoch", desc="train")

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            figures = {f"train_{name}": float(value) for name, value in (logs or {}).items()}
            logits = predict(self.model, validation)
            predicted = logits.argmax(axis=1)
            figures["val_loss"] = float(keras.ops.mean(loss(validation.labels, logits)))
            figures["val_accuracy"] = float((predicted == validation.labels).mean())
            figures["val_macro_f1"] = macro_f1(validation.labels, predicted)
            _check_finite(figures, epoch)
            for name, value in figures.items():
                self.history.setdefault(name, []).append(value)
            if figures["val_macro_f1"] > self.best:
                self.best, self.best_epoch = figures["val_macro_f1"], epoch
                self.best_weights = self.model.get_weights()
            self.bar.set_postfix(loss=f"{figures['train_loss']:.3f}", val_f1=f"{figures['val_macro_f1']:.3f}")
            self.bar.update()
            on_epoch(epoch, figures)
            if config.patience and epoch - self.best_epoch >= config.patience:
                self.model.stop_training = True

        def on_train_end(self, logs: dict[str, float] | None = None) -> None:
            self.bar.close()

    return Recorder()


def _check_finite(figures: Mapping[str, float], epoch: int) -> None:
    for name, value in figures.items():
        if not math.isfinite(value):
            raise EntailmentError(
                f"Training stopped in epoch {epoch + 1}: {name} is {value}. Lower training.learning_rate."
            )
