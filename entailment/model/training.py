"""Training the head on stored features."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration import Encoders, Head, Training
from entailment.data.schema import LABELS
from entailment.data.split import fold_rows
from entailment.errors import DataError, EntailmentError
from entailment.evaluation.calibration import fit_temperature
from entailment.evaluation.metrics import macro_f1
from entailment.evaluation.offsets import fit_offsets
from entailment.evaluation.variant_summary import mean_curves
from entailment.files import read_json, write_json
from entailment.model.featurizer import SplitFeatures
from entailment.model.head import (
    adapt,
    build_head,
    ensemble,
    load_head,
    logits_model,
    set_offsets,
    set_temperature,
    votes_model,
)
from entailment.model.losses import LossFunction, build_loss

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
    """The epoch, from 0, whose weights were kept; of several members the median."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """By name one figure an epoch: train_loss, val_loss, train_accuracy, val_accuracy, val_macro_f1."""
    modules: dict[str, Path] = field(default_factory=dict)
    """Folders of the encoders that were trained with it, `text` or `image`: its features are theirs."""

    def tuned(self, config: Encoders) -> Encoders:
        """The configured encoders with those that were trained in place of what they were trained from."""
        update = {
            role: getattr(config, role).model_copy(update={"encoder": str(folder), "trainable": 0})
            for role, folder in self.modules.items()
        }
        return config.model_copy(update=update)


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
    """Trains a new head, or as many as `config.members` says, and calibrates it.

    Of each the epoch with the best validation macro-F1 is kept (the earliest of equals), or the last one
    (`config.keep`); training stops after `config.patience` epochs without a better one (0: never). The same features
    and seed give the same weights, bit for bit, on one machine.

    Raises:
        EntailmentError: the loss is no longer a finite number.
        DataError: a class has fewer rows than there are members.
    """
    if config.members > 1:
        return _train_members(train.joined(validation), head, config, seed, on_epoch)
    model, course = _train_one(train, validation, head, config, seed, on_epoch)
    finish(model, course.restore(), validation.labels, config)
    return TrainedHead(model, course.best_epoch, course.history)


def finish(model: Any, logits: "np.ndarray", labels: "np.ndarray", config: Training) -> None:
    """Calibrates a trained head by its logits, [n, 3], of rows that it was not trained on, and sets its offsets."""
    temperature = fit_temperature(logits, labels)
    set_temperature(model, temperature)
    if config.offsets == "macro_f1":
        set_offsets(model, fit_offsets(logits / temperature, labels, config.accuracy_weight))


def _train_one(
    train: SplitFeatures,
    validation: SplitFeatures,
    head: Head,
    config: Training,
    seed: int,
    on_epoch: EpochSink,
) -> "tuple[Any, Course]":
    """A head and how its training went; the weights to keep are not brought back yet."""
    import keras

    make_deterministic(seed)
    model = build_head({name: column.shape[1:] for name, column in train.inputs.items()}, head)
    adapt(model, train.inputs)
    loss = build_loss(config, train.labels)
    trained, answering = votes_model(model), logits_model(model)
    trained.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=loss_of_votes(loss),
        metrics=[keras.metrics.MeanMetricWrapper(right_answers, name="accuracy")],
    )
    course = Course(
        lambda: predict(answering, validation), validation.labels, answering.weights, loss, config, on_epoch
    )

    def end(epoch: int, logs: Mapping[str, float]) -> None:
        trained.stop_training = not course.goes_on(epoch, logs["loss"], logs["accuracy"])

    trained.fit(
        batches(train, config.batch_size, seed),
        epochs=config.epochs,
        shuffle=False,  # the dataset is shuffled already
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end)],
    )
    return model, course


def _train_members(
    rows: SplitFeatures, head: Head, config: Training, seed: int, on_epoch: EpochSink
) -> TrainedHead:
    """As many heads, each trained on all but its fold of the rows; together they answer with their mean.

    Temperature and offsets are those of the answers that each member gives to its fold. Source: bagging by
    cross-validation (Krogh and Vedelsby, Neural network ensembles, cross validation, and active learning, 1995).
    """
    import numpy as np

    folds = fold_rows(rows.labels, config.members, seed)
    logits = np.zeros((len(rows.labels), len(LABELS)), np.float32)
    members, courses = [], []
    for number, fold in enumerate(folds):
        held_out = rows.select(fold.validation)
        member, course = _train_one(
            rows.select(fold.train), held_out, head, config, seed + number, lambda epoch, figures: None
        )
        answered = course.restore()
        logits[fold.validation] = answered - np.logaddexp.reduce(answered, axis=1, keepdims=True)
        members.append(member)
        courses.append(course)
    history = mean_curves([course.history for course in courses])
    for epoch in range(len(history["val_loss"])):
        on_epoch(epoch, {name: values[epoch] for name, values in history.items()})
    model = ensemble(members)
    finish(model, logits, rows.labels, config)
    return TrainedHead(model, int(np.median([course.best_epoch for course in courses])), history)


def loss_of_votes(loss: LossFunction) -> LossFunction:
    """The mean of the losses of several votes: of labels int [n] and logits [n, votes, 3]."""
    import tensorflow as tf

    def of_votes(labels: "tf.Tensor", votes: "tf.Tensor") -> "tf.Tensor":
        return tf.add_n([loss(labels, votes[:, i]) for i in range(votes.shape[1])]) / votes.shape[1]

    return of_votes


def right_answers(labels: "tf.Tensor", votes: "tf.Tensor") -> "tf.Tensor":
    """Which rows are answered right by the votes, logits [n, votes, 3], together: float32 [n]."""
    import tensorflow as tf

    answers = tf.argmax(tf.reduce_mean(tf.nn.log_softmax(votes), axis=1), axis=1)
    return tf.cast(answers == tf.cast(tf.reshape(labels, [-1]), tf.int64), tf.float32)


class Course:
    """How a training goes: figures of every epoch, the best epoch's weights, and when to stop."""

    def __init__(
        self,
        answer: "Callable[[], np.ndarray]",
        labels: "np.ndarray",
        weights: Sequence[Any],
        loss: LossFunction,
        config: Training,
        on_epoch: EpochSink,
    ) -> None:
        """`answer` gives the logits of the validation rows, whose classes are `labels`, as they are now.

        `weights` are the variables that the best epoch's values are kept of.
        """
        from tqdm import tqdm

        self._answer, self._labels, self._weights = answer, labels, weights
        self._loss, self._config, self._on_epoch = loss, config, on_epoch
        self.history: dict[str, list[float]] = {}
        self.best_epoch = 0
        self._best = -1.0
        self._best_weights: list[np.ndarray] = []
        self._bar = tqdm(total=config.epochs, unit="epoch", desc="train")

    def goes_on(self, epoch: int, loss: float, accuracy: float) -> bool:
        """Ends an epoch with these figures of the training rows; False: stop here.

        Raises EntailmentError when a figure is no finite number.
        """
        import numpy as np

        logits = self._answer()
        predicted = logits.argmax(axis=1)
        figures = {
            "train_loss": float(loss),
            "train_accuracy": float(accuracy),
            "val_loss": float(np.mean(self._loss(self._labels, logits))),
            "val_accuracy": float((predicted == self._labels).mean()),
            "val_macro_f1": macro_f1(self._labels, predicted),
        }
        check_finite(figures, f"epoch {epoch + 1}")
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        if self._config.keep == "last" or figures["val_macro_f1"] > self._best:
            self._best, self.best_epoch = figures["val_macro_f1"], epoch
            self._best_weights = [weight.numpy() for weight in self._weights]
        self._bar.set_postfix(loss=f"{figures['train_loss']:.3f}", val_f1=f"{figures['val_macro_f1']:.3f}")
        self._bar.update()
        self._on_epoch(epoch, figures)
        patience = self._config.patience
        return epoch + 1 < self._config.epochs and not (patience and epoch - self.best_epoch >= patience)

    def restore(self) -> "np.ndarray":
        """Brings the kept epoch's weights back; what they answer on the validation rows."""
        self._bar.close()
        for weight, best in zip(self._weights, self._best_weights, strict=True):
            weight.assign(best)
        return self._answer()


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
    """Writes `head.keras` and `training.json` into a new folder and moves the trained encoders there, if any."""
    folder.mkdir(parents=True)
    for role, module in trained.modules.items():
        shutil.move(module, folder / role)
    trained.model.save(folder / "head.keras")
    write_json(folder / "training.json", {"best_epoch": trained.best_epoch, "history": trained.history})


def load_trained(folder: Path) -> TrainedHead:
    """Reads what `save_trained` wrote. Raises DataError when it cannot be read."""
    try:
        record = read_json(folder / "training.json")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'training.json'} cannot be read: {error}. Train again.") from None
    modules = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    return TrainedHead(load_head(folder / "head.keras"), record["best_epoch"], record["history"], modules)


def check_finite(figures: Mapping[str, float], when: str) -> None:
    """Raises EntailmentError, saying which and when, where a figure is no finite number."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise EntailmentError(
                f"Training stopped in {when}: {name} is {value}. Lower training.learning_rate"
                " (of encoders: training.encoder_learning_rate)."
            )
