"""Adam, one operation of TensorFlow for each variable."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import tensorflow as tf

_BETA_1: Final = 0.9
_BETA_2: Final = 0.999
_EPSILON: Final = 1e-7


class Adam:
    """Adam (Kingma and Ba, 2015) with the constants of `keras.optimizers.Adam`, each variable with its own rate.

    Keras makes a dozen operations of the update of a variable, each a pass over memory: more than a third of a step.
    """

    def __init__(self, rates: "Sequence[tuple[float, Sequence[tf.Variable]]]") -> None:
        """`rates` are learning rates and the variables that learn with each."""
        import tensorflow as tf

        self.variables = [variable for _, variables in rates for variable in variables]
        self._rates = [rate for rate, variables in rates for _ in variables]
        self._moments = [
            (tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in self.variables
        ]
        self._steps = tf.Variable(0.0)

    def apply(self, gradients: "Sequence[tf.Tensor]") -> None:
        """Moves the variables once; `gradients` are dense and in the order of `variables`."""
        import tensorflow as tf

        steps = self._steps.assign_add(1.0)
        powers = [tf.pow(beta, steps) for beta in (_BETA_1, _BETA_2)]
        for variable, (first, second), rate, gradient in zip(
            self.variables, self._moments, self._rates, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=_BETA_1,
                beta2=_BETA_2,
                epsilon=_EPSILON,
                grad=gradient,
            )
