"""The optimiser moves variables as Keras's Adam does."""

import numpy as np


def test_it_moves_each_variable_as_keras_s_adam_with_its_rate():
    import keras
    import tensorflow as tf

    from entailment.model.adam import Adam

    random = np.random.default_rng(0)
    starts = [random.normal(size=shape).astype(np.float32) for shape in ((5, 3), (3,))]
    rates = [0.01, 0.1]
    ours, theirs = ([tf.Variable(start) for start in starts] for _ in range(2))
    adam = Adam([(rate, [variable]) for rate, variable in zip(rates, ours, strict=True)])
    optimizers = [keras.optimizers.Adam(rate) for rate in rates]
    for _ in range(20):
        gradients = [tf.constant(random.normal(size=start.shape), tf.float32) for start in starts]
        adam.apply(gradients)
        for optimizer, gradient, variable in zip(optimizers, gradients, theirs, strict=True):
            optimizer.apply([gradient], [variable])
    for our, their, start in zip(ours, theirs, starts, strict=True):
        assert np.abs(our.numpy() - start).min() > 0
        np.testing.assert_allclose(our.numpy(), their.numpy(), atol=1e-5)
