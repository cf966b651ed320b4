"""Keras layers of our own. Imports Keras: import this module only where a model is built or loaded."""

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="entailment")
class PairFeatures(keras.layers.Layer):
    """[u, v, |u - v|, u * v] of two vectors, the last two zero where one of them is absent.

    Takes u and v, float32 [n, width], and whether each is present, float32 [n, 1]; gives [n, 4 * width].
    Source of the combination: InferSent (Conneau et al., 2017).
    """

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Combines the two vectors; `inputs` is [u, v, u_present, v_present]."""
        first, second, first_present, second_present = inputs
        both = first_present * second_present
        return ops.concatenate(
            [first, second, ops.abs(first - second) * both, first * second * both], axis=-1
        )

    def compute_output_shape(self, input_shape: list[tuple[int | None, int]]) -> tuple[int | None, int]:
        """The shape [n, 4 * width]."""
        return input_shape[0][0], 4 * input_shape[0][1]


@keras.saving.register_keras_serializable(package="entailment")
class Temperature(keras.layers.Layer):
    """Divides logits by one number that is not trained but set (`set_temperature`): 1 until then.

    Source: temperature scaling (Guo et al., On calibration of modern neural networks, 2017).
    """

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Makes the number, a weight: it is saved and loaded with the model."""
        self.temperature = self.add_weight(
            name="temperature", shape=(), initializer="ones", trainable=False, dtype="float32"
        )

    def call(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        """The logits, float32 [n, classes], divided."""
        return logits / self.temperature

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int]:
        """The input's."""
        return input_shape


@keras.saving.register_keras_serializable(package="entailment")
class ModalityDropout(keras.layers.Layer):
    """While training, hides a whole modality of a row with probability `rate`: as if it were absent.

    Takes and gives a list of two lists of tensors, float32 [n, ...], vectors and presence alike, one list for
    each modality; half of the hidden ones are of the first. Never hides both. Source of the idea: ModDrop
    (Neverova et al., 2015).
    """

    def __init__(self, rate: float, **options: Any) -> None:
        """`rate` is between 0 and 1."""
        super().__init__(**options)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(
        self, inputs: list[list[keras.KerasTensor]], training: bool = False
    ) -> list[list[keras.KerasTensor]]:
        """The same tensors, those of a hidden modality multiplied by 0."""
        if not training:
            return inputs
        drawn = keras.random.uniform((ops.shape(inputs[0][0])[0], 1), seed=self.seed_generator)
        kept = (drawn >= self.rate / 2, drawn < 1 - self.rate / 2)
        return [
            [
                tensor * ops.reshape(ops.cast(keep, tensor.dtype), (-1,) + (1,) * (len(tensor.shape) - 1))
                for tensor in tensors
            ]
            for tensors, keep in zip(inputs, kept, strict=True)
        ]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from again."""
        return {**super().get_config(), "rate": self.rate}


def _here(sequence: keras.KerasTensor) -> keras.KerasTensor:
    """bool [n, length]: a row of zeros is padding, or absent."""
    return ops.any(ops.not_equal(sequence, 0), axis=-1)


@keras.saving.register_keras_serializable(package="entailment")
class SequenceMean(keras.layers.Layer):
    """The mean of a sequence, float32 [n, length, width], over its rows that are not all zero; zero without any."""

    def call(self, sequence: keras.KerasTensor) -> keras.KerasTensor:
        """The mean, float32 [n, width]."""
        count = ops.sum(ops.cast(_here(sequence), sequence.dtype), axis=1, keepdims=True)
        return ops.sum(sequence, axis=1) / ops.maximum(count, 1)

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple[int | None, int]:
        """The shape [n, width]."""
        return input_shape[0], input_shape[2]


@keras.saving.register_keras_serializable(package="entailment")
class TokenProjection(keras.layers.Layer):
    """A dense layer on each row of a sequence; rows of zeros stay zero."""

    def __init__(self, units: int, **options: Any) -> None:
        """`units` is the width that rows get."""
        super().__init__(**options)
        self.units = units
        self.dense = keras.layers.Dense(units)

    def build(self, input_shape: tuple[int | None, int, int]) -> None:
        """Makes the weights."""
        self.dense.build(input_shape)

    def call(self, sequence: keras.KerasTensor) -> keras.KerasTensor:
        """float32 [n, length, units] of [n, length, width]."""
        return self.dense(sequence) * ops.cast(_here(sequence), sequence.dtype)[:, :, None]

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple[int | None, int, int]:
        """The shape [n, length, units]."""
        return *input_shape[:2], self.units

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from again."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="entailment")
class CrossAttention(keras.layers.Layer):
    """What each row of one sequence finds in another one, and how far it is from that, averaged over the rows.

    Takes two sequences, float32 [n, length, width] and [n, other length, width], whose rows of zeros are absent;
    gives [n, 2 * width], zero where one of both is absent. Sources: dot-product attention with a learned scale
    (Luong et al., 2015), divided by the root of the width (Vaswani et al., 2017); comparing a token with what it
    attends to (Parikh et al., 2016).
    """

    def __init__(self, dropout: float, **options: Any) -> None:
        """`dropout` is the share of the attention's weights that training drops."""
        super().__init__(**options)
        self.dropout = dropout
        self.attention = keras.layers.Attention(use_scale=True, dropout=dropout)
        self.mean = SequenceMean()

    def build(self, input_shape: list[tuple[int | None, int, int]]) -> None:
        """Makes the scale."""
        self.attention.build(input_shape)

    def call(self, inputs: list[keras.KerasTensor], training: bool = False) -> keras.KerasTensor:
        """`inputs` is [queries, values]."""
        queries, values = inputs
        here, there = _here(queries), _here(values)
        found = self.attention(
            [queries / queries.shape[-1] ** 0.5, values], mask=[here, there], training=training
        )
        both = ops.logical_and(here, ops.any(there, axis=1, keepdims=True))
        compared = ops.concatenate([found, ops.abs(queries - found)], axis=-1)
        return self.mean(compared * ops.cast(both, compared.dtype)[:, :, None])

    def compute_output_shape(self, input_shape: list[tuple[int | None, int, int]]) -> tuple[int | None, int]:
        """The shape [n, 2 * width]."""
        return input_shape[0][0], 2 * input_shape[0][2]

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from again."""
        return {**super().get_config(), "dropout": self.dropout}


@keras.saving.register_keras_serializable(package="entailment")
class Ranks(keras.layers.Layer):
    """Replaces each number by where it stands among those of the training rows: -1.5 lowest, 1.5 highest.

    Takes float32 [n, width] and gives the same shape. Counts with long tails and shares become comparable, and no
    number is far out. `adapt` sets the quantiles; source: the quantile transformation of scikit-learn.
    """

    QUANTILES = 65

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Makes the quantiles, a weight that is set: it is saved and loaded with the model."""
        self.quantiles = self.add_weight(
            name="quantiles", shape=(self.QUANTILES, input_shape[-1]), initializer="zeros", trainable=False
        )

    def adapt(self, values: np.ndarray) -> None:
        """Takes the quantiles of the training rows, float32 [n, width]."""
        self.quantiles.assign(np.quantile(values, np.linspace(0, 1, self.QUANTILES), axis=0))

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        """The ranks: the mean of how many quantiles lie below and how many not above."""
        values = values[:, None, :]
        below = ops.mean(ops.cast(values > self.quantiles, "float32"), axis=1)
        not_above = ops.mean(ops.cast(values >= self.quantiles, "float32"), axis=1)
        return 1.5 * (below + not_above - 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape


@keras.saving.register_keras_serializable(package="entailment")
class WordScores(keras.layers.Layer):
    """Scores of classes as a weighted sum over the words of a pair: linear in tf-idf, kept as a table of words.

    Takes signed word numbers, float32 [n, words], 0 for none, the sign the hash's; gives float32 [n, units]. A word
    weighs its inverse document frequency among the training rows (`adapt`), a row is divided by its Euclidean norm,
    and words in fewer than two training rows weigh nothing. `penalty` is that on the squares of the table.
    """

    FEWEST_ROWS = 2

    def __init__(self, units: int, buckets: int, penalty: float, **options: Any) -> None:
        """Word numbers go from 1 to `buckets`."""
        super().__init__(**options)
        self.units, self.buckets, self.penalty = units, buckets, penalty

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Makes the table and the words' weights, which are set, not trained."""
        self.table = self.add_weight(
            name="table",
            shape=(self.buckets + 1, self.units),
            initializer="zeros",
            regularizer=keras.regularizers.L2(self.penalty),
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.rarity = self.add_weight(
            name="rarity", shape=(self.buckets + 1,), initializer="zeros", trainable=False
        )

    def adapt(self, values: np.ndarray) -> None:
        """Takes the words' weights from the training rows, float32 [n, words]."""
        numbers = np.abs(values).astype(np.int64)
        rows = np.zeros(self.buckets + 1, np.int64)
        for row in numbers:
            rows[np.unique(row)] += 1
        rarity = np.log((1 + len(numbers)) / (1 + rows)) + 1
        rarity[(rows < self.FEWEST_ROWS) | (np.arange(len(rows)) == 0)] = 0
        self.rarity.assign(rarity)

    def call(self, numbers: keras.KerasTensor) -> keras.KerasTensor:
        """The scores."""
        places = ops.cast(ops.abs(numbers), "int32")
        weights = ops.take(self.rarity, places, axis=0)
        norm = ops.sqrt(ops.sum(ops.square(weights), axis=-1, keepdims=True))
        signed = weights * ops.sign(numbers) / ops.maximum(norm, 1e-9)
        return ops.sum(ops.take(self.table, places, axis=0) * signed[..., None], axis=1) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int]:
        """The shape [n, units]."""
        return input_shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from again."""
        made_from = {"units": self.units, "buckets": self.buckets, "penalty": self.penalty}
        return {**super().get_config(), **made_from}


@keras.saving.register_keras_serializable(package="entailment")
class MeanOfVotes(keras.layers.Layer):
    """The mean of the logarithms of the votes' probabilities: a product of experts, up to a constant a row.

    Takes votes, logits [n, votes, classes]; gives logits [n, classes]. Source: Hinton, Training products of experts
    by minimizing contrastive divergence, 2002.
    """

    def call(self, votes: keras.KerasTensor) -> keras.KerasTensor:
        """The mean over the votes."""
        return ops.mean(ops.log_softmax(votes, axis=-1), axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple[int | None, int]:
        """The shape [n, classes]."""
        return input_shape[0], input_shape[2]


@keras.saving.register_keras_serializable(package="entailment")
class Offsets(keras.layers.Layer):
    """Adds one number to the logits of each class, [n, classes], that is not trained but set: 0 until then."""

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Makes the numbers, a weight: they are saved and loaded with the model."""
        self.offsets = self.add_weight(
            name="offsets", shape=(input_shape[-1],), initializer="zeros", trainable=False
        )

    def call(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        """The logits with the numbers added."""
        return logits + self.offsets

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape
