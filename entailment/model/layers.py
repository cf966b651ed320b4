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


@keras.saving.register_keras_serializable(package="entailment")
class ModalityDropout(keras.layers.Layer):
    """While training, hides a whole modality of a row with probability `rate`: as if it were absent.

    Takes and gives a list of lists of tensors, float32 [n, ...], vectors and presence alike, one list for each
    modality, at least two; each is hidden as often as any other, never two at once. Source of the idea: ModDrop
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
        share = self.rate / len(inputs)
        starts = [number * (1 - share) / (len(inputs) - 1) for number in range(len(inputs))]
        kept = [ops.logical_or(drawn < start, drawn >= start + share) for start in starts]
        return [
            [
                tensor * ops.reshape(ops.cast(keep, tensor.dtype), (-1,) + (1,) * (len(tensor.shape) - 1))
                for tensor in tensors
            ]
            for tensors, keep in zip(inputs, kept, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from again."""
        return {**super().get_config(), "rate": self.rate}
