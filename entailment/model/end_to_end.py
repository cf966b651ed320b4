"""Training encoders together with the head, reading the records straight."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entailment.configuration.model import ModelConfiguration
from entailment.encoders.text import TextPacker
from entailment.encoders.trainable import TrainableEncoder
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
from entailment.records.manifest import IMAGE, IMAGE_PRESENT, ROW
from entailment.records.reading import records_dataset
from entailment.statistics.calibration import fit_temperature
from entailment.task import LABEL, TEXT

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
    return configured_featurizer(tuned.encoders, tuned.inputs, tuned.images.size, encoders, store)


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
    kinds = tuple(config.encoders.handles(config.inputs))
    return IndexedFeatures(
        index,
        kinds,
        store,
        lambda: configured_featurizer(config.encoders, config.inputs, config.images.size, encoders, store),
    )


class _Network:
    """The trained encoders: from parsed records to the inputs of the head."""

    def __init__(self, config: ModelConfiguration, place: Workplace) -> None:
        self._records, self._batch_size, self._seed = place.records, config.training.batch_size, config.seed
        text = config.encoders.text
        self._output, self._pair = text.output, text.encode == "pair"
        handles = config.encoders.handles(config.inputs)
        self.encoders = {
            role: TrainableEncoder(f"encoders.{role}.trainable", handles[role], place.encoders, trainable)
            for role, trainable in config.encoders.trained(config.inputs).items()
        }
        if "text" in self.encoders:
            self._packer = TextPacker(text.preprocessor, place.encoders, text.sequence_length)

    def dataset(self, features: SplitFeatures, *, shuffled: bool) -> "tf.data.Dataset":
        """Batches of (what the encoders take, by encoder; inputs of the head that are known; labels)."""
        import numpy as np
        import tensorflow as tf

        seed = self._seed if shuffled else None
        rows = records_dataset(
            self._records, features.split, seed, rows=features.rows, with_images="image" in self.encoders
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
            if "text" in self.encoders:
                given["text"], present = self._texts(batch)
                known |= present
            if "image" in self.encoders:
                pixels = tf.concat([batch[name] for name in IMAGE], axis=0)
                given["image"] = tf.cast(pixels, tf.float32) / 255
                known |= _presence(IMAGE, [batch[name] for name in IMAGE_PRESENT])
            return given, known, batch[LABEL]

        batches = rows.batch(self._batch_size)
        return batches.map(prepare, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def inputs(self, given: "Mapping[str, Any]", known: "Mapping[str, tf.Tensor]") -> "dict[str, tf.Tensor]":
        """All inputs of the head: what the encoders make of a batch, zero where absent, and what is known."""
        import tensorflow as tf

        inputs = dict(known)
        for role, encoder in self.encoders.items():
            vectors = encoder.module(given[role])
            vectors = vectors[self._output] if role == "text" else vectors
            names = ("text",) if role == "text" and self._pair else (f"{role}_1", f"{role}_2")
            for name, part in zip(names, tf.split(vectors, len(names)), strict=True):
                inputs[name] = part * known[f"{name}_present"]
        return inputs

    def _texts(self, batch: "Mapping[str, tf.Tensor]") -> "tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]":
        """Token ids of the pairs, or of both texts one below the other, and which texts are there."""
        import tensorflow as tf

        texts = [batch[name] for name in TEXT]
        there = [tf.strings.length(text) > 0 for text in texts]
        present = _presence(["text"], [there[0] & there[1]]) if self._pair else _presence(TEXT, there)
        tokens = self._packer.packed(texts if self._pair else [tf.concat(texts, axis=0)])
        if self.encoders["text"].any_length:
            longest = tf.reduce_max(tf.reduce_sum(tokens["input_mask"], axis=1))
            tokens = {name: ids[:, :longest] for name, ids in tokens.items()}
        return tokens, present


def _presence(names: Any, present: "list[tf.Tensor]") -> "dict[str, tf.Tensor]":
    import tensorflow as tf

    return {
        f"{name}_present": tf.cast(there, tf.float32)[:, None]
        for name, there in zip(names, present, strict=True)
    }


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
    set_temperature(model, fit_temperature(course.restore(), parts["validation"].labels))
    modules = {
        role: encoder.save(Path(tempfile.mkdtemp(prefix=f"{role}-", dir=tuned)))
        for role, encoder in network.encoders.items()
    }
    return TrainedHead(model, course.best_epoch, course.history, modules)
