"""Keras layers of our own. Imports Keras: import this module only where a model is built or loaded."""

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
