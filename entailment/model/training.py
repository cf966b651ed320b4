"""Training the head on stored features."""

import math
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.encoders import Encoders
from entailment.configuration.head import Head
from entailment.configuration.training import Training
from entailment.errors import DataError, EntailmentError
from entailment.files import check_format, read_json, write_json
from entailment.losses import LOSSES, LossFunction, LossSettings
from entailment.metric_names import TRAIN, TRAIN_LOSS, VALIDATION, VALIDATION_MACRO_F1, VALIDATION_NLL
from entailment.model.adam import Adam
from entailment.model.features import SplitFeatures
from entailment.model.head import build_head, load_head, logits_model, set_temperature
from entailment.progress import progress_bar
from entailment.statistics.calibration import helpful_temperature, negative_log_likelihood, softmax
from entailment.statistics.confusion import macro_f1

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

_ROWS_AT_ONCE: Final = 256
"""Rows that a head answers together."""
RECORD: Final = "training.json"
"""The file of a trained head that says how it was trained."""
_FORMAT: Final = 2
"""Of a trained head's files; format 1 counted epochs from 0."""

Step = Callable[..., "tuple[tf.Tensor, tf.Tensor]"]
"""Called with the parts of a batch: trains on it and gives the sum of the losses and the number of right answers."""

EpochSink = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number (from 1) and its figures."""


@dataclass(frozen=True)
class TrainedHead:
    """A trained head and how its training went."""

    model: Any
    """A keras.Model; typed Any, because this class is inspected where Keras must not be imported."""
    best_epoch: int
    """The epoch, from 1, whose weights were kept."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """By name one figure an epoch: train/loss, train/accuracy, val/loss (of the loss that is trained with), val/nll
    (mean negative log-likelihood, the same for every loss), val/accuracy, val/macro_f1."""
    ended: list[float] = field(default_factory=list)
    """When each epoch ended, in seconds since 1970; empty in a head that was loaded."""
    modules: dict[str, Path] = field(default_factory=dict)
    """By kind of input the folders of the encoders that were trained with it: its features are theirs."""

    def tuned(self, config: Encoders) -> Encoders:
        """The configured encoders with those that were trained in place of what they were trained from."""
        return config.with_each(
            {kind: {"encoder": str(folder), "trainable": 0} for kind, folder in self.modules.items()}
        )


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
    """Trains a new head and calibrates it.

    The epoch with the best validation macro-F1 is kept (the earliest of equals), or the last one
    (`config.keep`); training stops after `config.patience` epochs without a better one (0: never). The same features
    and seed give the same weights, bit for bit, on one machine.

    Raises:
        EntailmentError: the loss is no longer a finite number.
    """
    import numpy as np
    import tensorflow as tf

    make_deterministic(seed)
    classes = len(train.classes)
    model = build_head({name: column.shape[1] for name, column in train.inputs.items()}, head, classes)
    loss, trained = configured_loss(config, train.labels, classes), logits_model(model)
    inputs = {name: tf.TensorSpec([None, *column.shape[1:]]) for name, column in train.inputs.items()}
    step = training_step(
        lambda inputs: trained(inputs, training=True),
        loss,
        Adam([(config.learning_rate, [variable.value for variable in trained.trainable_variables])]),
        [inputs, tf.TensorSpec([None], tf.int64)],
    )
    answer = tf.function(trained, input_signature=[inputs], autograph=False)
    course = Course(lambda: predict(answer, validation), validation, trained.weights, loss, config, on_epoch)
    order = np.random.default_rng(seed)
    course.run(step, lambda: batches(train, config.batch_size, order), len(train.labels))
    set_temperature(model, helpful_temperature(course.restore(), validation.labels))
    return TrainedHead(model, course.best_epoch, course.history, course.ended)


def configured_loss(config: Training, labels: "np.ndarray", classes: int) -> LossFunction:
    """The loss that is set; `labels` (int [n], the training rows) give class weights and class shares."""
    settings = LossSettings(
        labels,
        classes,
        class_weights=config.class_weights,
        focal_gamma=config.focal_gamma,
        label_smoothing=config.label_smoothing,
        logit_adjustment=config.logit_adjustment,
    )
    return LOSSES[config.loss](settings)


class Course:
    """How a training goes: figures of every epoch, the best epoch's weights, and when to stop."""

    def __init__(
        self,
        answer: "Callable[[], np.ndarray]",
        validation: SplitFeatures,
        weights: Sequence[Any],
        loss: LossFunction,
        config: Training,
        on_epoch: EpochSink,
    ) -> None:
        """`answer` gives the logits of the rows of `validation` as they are now.

        `weights` are the variables that the best epoch's values are kept of.
        """
        self._answer, self._labels, self._weights = answer, validation.labels, weights
        self._classes = len(validation.classes)
        self._loss, self._config, self._on_epoch = loss, config, on_epoch
        self.history: dict[str, list[float]] = {}
        self.ended: list[float] = []
        self.best_epoch = 0
        self._best = -1.0
        self._best_weights: list[np.ndarray] = []
        self._bar = progress_bar(config.epochs, unit="epoch", what="train")

    def run(self, step: Step, batches: "Callable[[], Iterable[Sequence[Any]]]", rows: int) -> None:
        """Trains until it is time to stop; `batches` gives the batches of the next epoch, of `rows` rows together.

        Raises EntailmentError when a figure is no finite number.
        """
        epoch, goes_on = 0, True
        while goes_on:
            epoch += 1
            summed, right = 0.0, 0
            for number, batch in enumerate(batches(), start=1):
                losses, hits = step(*batch)
                summed, right = summed + float(losses), right + int(hits)
                check_finite({TRAIN_LOSS: summed}, f"epoch {epoch}, step {number}")
            goes_on = self._goes_on(epoch, summed / rows, right / rows)

    def _goes_on(self, epoch: int, loss: float, accuracy: float) -> bool:
        """Ends an epoch with these figures of the training rows; False: stop here."""
        import numpy as np

        logits = self._answer()
        predicted = logits.argmax(axis=1)
        figures = {
            TRAIN_LOSS: float(loss),
            TRAIN + "accuracy": float(accuracy),
            VALIDATION + "loss": float(np.mean(self._loss(self._labels, logits))),
            VALIDATION_NLL: negative_log_likelihood(self._labels, softmax(logits)),
            VALIDATION + "accuracy": float((predicted == self._labels).mean()),
            VALIDATION_MACRO_F1: macro_f1(self._labels, predicted, self._classes),
        }
        check_finite(figures, f"epoch {epoch}")
        self.ended.append(time.time())
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        if self._config.keep == "last" or figures[VALIDATION_MACRO_F1] > self._best:
            self._best, self.best_epoch = figures[VALIDATION_MACRO_F1], epoch
            self._best_weights = [weight.numpy() for weight in self._weights]
        told = {"loss": f"{figures[TRAIN_LOSS]:.3f}", "val_f1": f"{figures[VALIDATION_MACRO_F1]:.3f}"}
        self._bar.set_postfix(told, refresh=False)
        self._bar.update()
        self._on_epoch(epoch, figures)
        patience = self._config.patience
        return epoch < self._config.epochs and not (patience and epoch - self.best_epoch >= patience)

    def restore(self) -> "np.ndarray":
        """Brings the kept epoch's weights back; what they answer on the validation rows."""
        self._bar.close()
        for weight, best in zip(self._weights, self._best_weights, strict=True):
            weight.assign(best)
        return self._answer()


def training_step(
    answer: "Callable[..., tf.Tensor]", loss: LossFunction, optimizer: Adam, signature: Sequence[Any]
) -> Step:
    """One step on one batch: a function that gives the sum of the losses and the number of right answers.

    `signature` describes a batch: what `answer` takes to give logits, and last the labels, int64 [n].
    """
    import tensorflow as tf

    def step(*batch: Any) -> "tuple[tf.Tensor, tf.Tensor]":
        *given, labels = batch
        with tf.GradientTape() as tape:
            logits = answer(*given)
            losses = loss(labels, logits)
            mean = tf.reduce_mean(losses)
        # An output that is not used leaves its variables without a gradient.
        unused = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(mean, optimizer.variables, unconnected_gradients=unused)
        optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients])
        right = tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)
        return tf.reduce_sum(losses), right

    function: Step = tf.function(step, input_signature=signature, autograph=False)
    return function


def batches(
    features: SplitFeatures, size: int, random: "np.random.Generator"
) -> "Iterator[tuple[dict[str, np.ndarray], np.ndarray]]":
    """Batches of (inputs, labels) in a random order; only the order is held whole, features are read when needed."""
    order = random.permutation(len(features.labels))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield features.take(rows), features.labels[rows]


def predict(model: Any, features: SplitFeatures) -> "np.ndarray":
    """What the model answers for each row: probabilities, float32 [n, classes] (logits while it is trained)."""
    import numpy as np

    starts = range(0, len(features.labels), _ROWS_AT_ONCE)
    answers = [model(features.take(slice(i, i + _ROWS_AT_ONCE))) for i in starts]
    return np.concatenate([np.asarray(answer) for answer in answers])


def save_trained(trained: TrainedHead, folder: Path) -> None:
    """Writes `head.keras` and `training.json` into a new folder and moves the trained encoders there, if any."""
    folder.mkdir(parents=True)
    for role, module in trained.modules.items():
        shutil.move(module, folder / role)
    trained.model.save(folder / "head.keras")
    facts = {"format": _FORMAT, "best_epoch": trained.best_epoch, "history": trained.history}
    write_json(folder / RECORD, facts)


def load_trained(folder: Path) -> TrainedHead:
    """Reads what `save_trained` wrote. Raises DataError when it cannot be read."""
    try:
        record = read_json(folder / RECORD)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / RECORD} cannot be read: {error}. Train again.") from None
    check_format(folder / RECORD, record.get("format", 1), _FORMAT)
    modules = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    model = load_head(folder / "head.keras")
    # Format 1 counted epochs from 0 and named figures `train_loss` and `val_loss`.
    best = record["best_epoch"] + (record.get("format", 1) == 1)
    history = {re.sub("^(train|val)_", r"\1/", name): values for name, values in record["history"].items()}
    return TrainedHead(model, best, history, modules=modules)


def check_finite(figures: Mapping[str, float], when: str) -> None:
    """Raises EntailmentError, saying which and when, where a figure is no finite number."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise EntailmentError(
                f"Training stopped in {when}: {name} is {value}. Lower training.learning_rate"
                " (of encoders: training.encoder_learning_rate)."
            )
