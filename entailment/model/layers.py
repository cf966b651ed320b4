"""Keras layers of our own. Imports Keras: import this module only where a model is built or loaded."""

from typing import Any

import keras
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
