"""Small modules with random weights and the interface of TF-Hub's: stand-ins for handles that cannot be fetched."""

import os
import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np

WIDTH, HEADS, LAYERS, POSITIONS = 16, 2, 2, 512
IMAGE_WIDTH = 8
CONVOLUTIONS = ("expand", "depthwise", "project")
CHARACTERS = string.ascii_lowercase + string.digits
VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *string.punctuation,
    *CHARACTERS,
    *(f"##{character}" for character in CHARACTERS),
]


def random_bert_weights(seed: int = 7) -> dict[str, np.ndarray]:
    """Random tensors under the names of a Hugging Face BERT checkpoint."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    dense = {f"attention.self.{which}": (WIDTH, WIDTH) for which in ("query", "key", "value")}
    dense |= {"attention.output.dense": (WIDTH, WIDTH)}
    dense |= {"intermediate.dense": (4 * WIDTH, WIDTH), "output.dense": (WIDTH, 4 * WIDTH)}
    for layer in (f"encoder.layer.{i}" for i in range(LAYERS)):
        for name, shape in dense.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}.{name}.weight": (WIDTH,), f"{layer}.{name}.bias": (WIDTH,)}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def write_random_modules(folder: Path) -> dict[str, str]:
    """Writes a preprocessor, a 2-layer BERT of width 16 and a convolution of width 8; the handle of each.

    Keys `preprocessor`, `text`, `image`. The same numbers on every call.
    """
    import tensorflow as tf

    from entailment.encoders.build import bert_module, preprocess_module

    modules: Mapping[str, tf.train.Checkpoint] = {
        "preprocessor": preprocess_module(VOCABULARY),
        "text": bert_module(random_bert_weights(), HEADS),
        "image": _image_module(),
    }
    for name, module in modules.items():
        tf.saved_model.save(module, os.fspath(folder / name))
    return {name: str(folder / name) for name in modules}


def random_lite0_weights(seed: int = 7) -> dict[str, np.ndarray]:
    """Random tensors under the names of the checkpoint of EfficientNet-Lite0, 8 channels wide."""
    from entailment.encoders.build import LITE0_STRIDES

    rng = np.random.default_rng(seed)
    width, shapes = IMAGE_WIDTH, {"_conv_stem": (IMAGE_WIDTH, 3, 3, 3)}
    norms = {"_conv_stem": "_bn0", "_conv_head": "_bn1"}
    for block in (f"_blocks.{i}." for i in range(len(LITE0_STRIDES))):
        if block != "_blocks.0.":
            shapes[f"{block}_expand_conv"] = (width, width, 1, 1)
        shapes |= {
            f"{block}_depthwise_conv": (width, 1, 3, 3),
            f"{block}_project_conv": (width, width, 1, 1),
        }
        norms |= {f"{block}_{name}_conv": f"{block}_bn{i}" for i, name in enumerate(CONVOLUTIONS)}
    shapes["_conv_head"] = (width, width, 1, 1)
    weights = {f"{name}.weight": rng.normal(0, 0.5, shape) for name, shape in shapes.items()}
    for name in shapes:
        parts = {"weight": 1.0, "bias": 0.1, "running_mean": 0.0, "running_var": 1.0}
        for part, value in parts.items():
            weights[f"{norms[name]}.{part}"] = value + 0.05 * rng.random(width)
    return {name: value.astype(np.float32) for name, value in weights.items()}


def write_lite0_module(folder: Path) -> str:
    """Writes a random EfficientNet-Lite0, which has a feature map, layers and a TensorFlow Lite file; its handle."""
    import tensorflow as tf

    from entailment.encoders.build import LITE_FILE, lite0_module, lite_network

    module = lite0_module(random_lite0_weights())
    tf.saved_model.save(module, os.fspath(folder))
    (folder / LITE_FILE).write_bytes(lite_network(module))
    return str(folder)


def write_network_weights(name: str, file: Path, seed: int = 7) -> Path:
    """Writes random weights of a network of `keras.applications` without its top, biases and statistics included."""
    import keras

    keras.utils.set_random_seed(seed)
    network = getattr(keras.applications, name)(include_top=False, weights=None)
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        if len(variable.shape) == 1:
            variable.assign_add(rng.uniform(0, 0.2, variable.shape))
    network.save_weights(file)
    return file


def _image_module(seed: int = 7):
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    module = tf.train.Checkpoint()
    module.kernel = tf.Variable(rng.normal(0, 0.3, (5, 5, 3, IMAGE_WIDTH)).astype(np.float32))

    # Published image modules take `training` as well.
    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([], tf.bool)]
    )
    def call(images, training=False):
        return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images - 0.5, module.kernel, 4, "SAME")), axis=[1, 2])

    module.__call__ = call
    return module
