"""Training encoders together with the head, reading the records straight."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entailment.configuration.model import ModelConfiguration
from entailment.encoders.trainable import TrainableEncoder
from entailment.inputs import kind_named
from entailment.model.adam import Adam
from entailment.model.feature_index import FeatureIndex, IndexedFeatures
from entailment.model.features import Featurizer, SplitFeatures, configured_featurizer
from entailment.model.head import build_head, logits_model, set_temperature
from entailment.model.training import (
    Course,
    EpochSink,
    TrainedHead,
    configured_loss,
    make_deterministic,
    train_head,
    training_step,
)
from entailment.records.manifest import ROW, kinds_in, read_manifest
from entailment.records.reading import records_dataset
from entailment.statistics.calibration import helpful_temperature
from entailment.task import LABEL, columns_of, kinds_of

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@dataclass(frozen=True)
class Workplace:
    """The folders that training reads and writes."""

    records: Path
    encoders: Path
    """Where encoders are found or built."""
    tuned: Path
    """Where encoders that were trained are written, each in a new folder."""


def train_model(
    train: SplitFeatures,
    validation: SplitFeatures,
    config: ModelConfiguration,
    place: Workplace,
    on_epoch: EpochSink = lambda epoch, figures: None,
) -> TrainedHead:
    """Trains the configured head, on features alone or together with the encoders that are to be trained.

    `train` and `validation` are rows of the records in `place` with the features of the frozen encoders.

    Raises:
        EntailmentError: the loss is no longer a finite number, the records are damaged, or an encoder cannot be
            trained so.
    """
    if not config.encoders.trained(config.inputs):
        return train_head(train, validation, config.head, config.training, config.seed, on_epoch)
    make_deterministic(config.seed)
    network = _Network(config, place)
    return _train(network, {"train": train, "validation": validation}, config, place.tuned, on_epoch)


def tuned_featurizer(
    trained: TrainedHead, config: ModelConfiguration, encoders: Path, store: Path | None
) -> Featurizer:
    """The featurizer whose features a trained head takes: of the encoders that were trained with it, if any."""
    tuned = config.model_copy(update={"encoders": trained.tuned(config.encoders)})
    return configured_featurizer(tuned, encoders, store)


def features_of(
    index: FeatureIndex,
    config: ModelConfiguration,
    encoders: Path,
    store: Path,
    trained: TrainedHead | None = None,
) -> "Featurizer | IndexedFeatures":
    """What gives the features of records that `index` was made of, as a training of `config` takes them.

    With `trained`, as that head takes them: those of encoders that were trained with it are in no index.
    """
    if trained is not None and trained.modules:
        return tuned_featurizer(trained, config, encoders, store)
    return IndexedFeatures(
        index, kinds_of(config.inputs), store, lambda: configured_featurizer(config, encoders, store)
    )


class _Network:
    """The trained encoders: from parsed records to the inputs of the head."""

    def __init__(self, config: ModelConfiguration, place: Workplace) -> None:
        self._records, self._batch_size, self._seed = place.records, config.training.batch_size, config.seed
        self._channels = {
            name: kind_named(name).trained_channel(config, place.encoders)
            for name in config.encoders.trained(config.inputs)
            if name in kinds_in(read_manifest(place.records))
        }

    @property
    def encoders(self) -> dict[str, TrainableEncoder]:
        """By kind of input."""
        return {name: channel.encoder for name, channel in self._channels.items()}

    def dataset(self, features: SplitFeatures, *, shuffled: bool) -> "tf.data.Dataset":
        """Batches of (what the encoders take, by kind; inputs of the head that are known; labels)."""
        import numpy as np
        import tensorflow as tf

        seed = self._seed if shuffled else None
        rows = records_dataset(
            self._records, features.split, seed, rows=features.rows, kinds=tuple(self._channels)
        )
        names = list(features.inputs)

        def read(numbers: "np.ndarray") -> "list[np.ndarray]":
            taken = features.take(
                numbers if features.rows is None else np.searchsorted(features.rows, numbers)
            )
            return [taken[name] for name in names]

        def prepare(batch: "dict[str, tf.Tensor]") -> Any:
            columns = tf.numpy_function(read, [batch[ROW]], [tf.float32] * len(names)) if names else []
            known = {
                name: tf.ensure_shape(column, (None, *features.inputs[name].shape[1:]))
                for name, column in zip(names, columns, strict=True)
            }
            given = {}
            for name, channel in self._channels.items():
                given[name], present = channel.given(batch)
                known |= present
            return given, known, batch[LABEL]

        batches = rows.batch(self._batch_size)
        return batches.map(prepare, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def inputs(self, given: "Mapping[str, Any]", known: "Mapping[str, tf.Tensor]") -> "dict[str, tf.Tensor]":
        """All inputs of the head: what the encoders make of a batch, zero where absent, and what is known."""
        inputs = dict(known)
        for name, channel in self._channels.items():
            parts = channel.vectors(given[name])
            names = (name,) if len(parts) == 1 else columns_of(name)
            for side, part in zip(names, parts, strict=True):
                inputs[side] = part * known[f"{side}_present"]
        return inputs


def _train(
    network: _Network,
    parts: Mapping[str, SplitFeatures],
    config: ModelConfiguration,
    tuned: Path,
    on_epoch: EpochSink,
) -> TrainedHead:
    """Trains encoders and head, each with its learning rate; the best epoch of both is kept and written."""
    import numpy as np
    import tensorflow as tf

    train = network.dataset(parts["train"], shuffled=True)
    validation = network.dataset(parts["validation"], shuffled=False)
    given, known, _ = next(iter(validation))
    widths = {name: tensor.shape[1] for name, tensor in network.inputs(given, known).items()}
    model = build_head(widths, config.head, len(config.task.labels))
    head = logits_model(model)
    loss = configured_loss(config.training, parts["train"].labels, len(config.task.labels))
    rates = [
        (
            config.training.encoder_learning_rate,
            [v for encoder in network.encoders.values() for v in encoder.variables],
        ),
        (config.training.learning_rate, [variable.value for variable in head.trainable_variables]),
    ]
    step = training_step(
        lambda given, known: head(network.inputs(given, known), training=True),
        loss,
        Adam(rates),
        train.element_spec,
    )
    answer = tf.function(
        lambda given, known, labels: head(network.inputs(given, known), training=False),
        input_signature=validation.element_spec,
        autograph=False,
    )
    weights = [v for encoder in network.encoders.values() for v in encoder.variables] + head.weights
    course = Course(
        lambda: np.concatenate([answer(*batch).numpy() for batch in validation]),
        parts["validation"],
        weights,
        loss,
        config.training,
        on_epoch,
    )
    course.run(step, lambda: train, len(parts["train"].labels))
    set_temperature(model, helpful_temperature(course.restore(), parts["validation"].labels))
    modules = {
        role: encoder.save(Path(tempfile.mkdtemp(prefix=f"{role}-", dir=tuned)))
        for role, encoder in network.encoders.items()
    }
    return TrainedHead(model, course.best_epoch, course.history, course.ended, modules)
