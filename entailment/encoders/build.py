"""Writes the built-in encoders as modules of the TF-Hub form: folders that `hub.load` turns into something callable.

The graphs are written here in plain TensorFlow operations, straight from the published weights: query, key and
value share one matrix product, and every batch normalisation is folded into its convolution. They compute as fast
as such networks with their variables frozen to constants, and stay trainable; loading and the first call take 1 s
instead of 7 s, because no large constants have to be folded when the graph is optimised. (keras-hub's BERT takes
an approximate GELU, which moves MiniLM's states by 0.003: not the published model.)
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from entailment.encoders.bert_words import LONGEST_WORD, bert_words
from entailment.encoders.weights import fetch_weights
from entailment.files import made_once, read_json, write_json

if TYPE_CHECKING:
    import tensorflow as tf

Weights = Mapping[str, np.ndarray]

LITE_FILE = "network.tflite"
"""The network once more beside its SavedModel, as TensorFlow Lite reads it."""

PREPROCESS_LENGTH = 128
"""Tokens that a preprocessor gives for each text when it is called without a length."""

LITE0_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Stride of each block of EfficientNet-Lite0; its other numbers are the shapes of its weights."""


class BuiltIn(NamedTuple):
    """A built-in module: the weights it needs, the file it is made of, what makes it, what else is known.

    `graph`: the version of its graph, raised with every change of it; modules of another version are built anew.
    `lite`: also written as a TensorFlow Lite file.
    """

    weights: str
    file: str
    make: Callable[[Path], "tf.train.Checkpoint"]
    facts: Mapping[str, Any]
    graph: int
    lite: bool = False


def build_default_modules(folder: Path) -> None:
    """Builds every built-in module below `<folder>/modules` that is not there yet (see `build_module`)."""
    for name in BUILT_IN:
        build_module(name, folder)


def build_module(name: str, folder: Path) -> Path:
    """The folder `<folder>/modules/<name>` of a built-in module; built, with its weights, when it is not there.

    Its `module.json` says where the weights come from, their licence and sha256, the width of the output and, of a
    text encoder, that it takes sequences of any length. Raises DownloadError when the weights cannot be fetched,
    OSError when the folder cannot be written.
    """
    target, graph = folder / "modules" / name, BUILT_IN[name].graph
    return built_once(target, graph, lambda aside: _write(name, folder, aside))


def built_once(target: Path, graph: int, write: Callable[[Path], None]) -> Path:
    """The module folder `target`; `write` makes it, at the path it is given, unless one of this `graph` is there.

    `graph` is the version that `save_module` was given. One process builds, another waits for it; the folder is
    whole or absent. Raises OSError when it cannot be written.
    """
    made_once(target, lambda path: is_built(path, graph), write)
    return target


def save_module(
    module: "tf.train.Checkpoint", folder: Path, graph: int, described: Mapping[str, Any]
) -> None:
    """Writes a module and its `module.json`: what is `described`, and the version of its graph."""
    import tensorflow as tf

    tf.saved_model.save(module, str(folder))
    # It holds a random number: without it a process that builds the same way writes the same files.
    (folder / "fingerprint.pb").unlink()
    write_json(folder / "module.json", {**described, "graph": graph})


def is_built(target: Path, graph: int) -> bool:
    """Whether the module folder `target` is there and of this version of its graph."""
    record = target / "module.json"
    return record.is_file() and read_json(record).get("graph") == graph


def _write(name: str, folder: Path, aside: Path) -> None:
    built_in = BUILT_IN[name]
    kept = fetch_weights(built_in.weights, folder)
    module = built_in.make(kept / built_in.file)
    record = read_json(kept / f"{built_in.weights}.json")
    source = {key: record[key] for key in ("project", "version", "wheel_sha256", "licence")}
    sha256 = record["files"][built_in.file]
    described = {"name": name, **source, "weights_sha256": sha256, **built_in.facts}
    save_module(module, aside, built_in.graph, described)
    if built_in.lite:
        (aside / LITE_FILE).write_bytes(lite_network(module))


def lite_network(module: "tf.train.Checkpoint") -> bytes:
    """An image module's call as a TensorFlow Lite file holds it."""
    import tensorflow as tf

    function = module.__call__.get_concrete_function()
    converted: bytes = tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()
    return converted


def _preprocess(path: Path) -> "tf.train.Checkpoint":
    return preprocess_module(path.read_text(encoding="utf-8").splitlines())


def _minilm(path: Path) -> "tf.train.Checkpoint":
    from safetensors.numpy import load_file

    return bert_module(load_file(path), heads=12)


def _lite0(path: Path) -> "tf.train.Checkpoint":
    from safetensors.numpy import load_file

    return lite0_module(load_file(path))


BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {
        "bert-uncased-preprocess": BuiltIn("minilm", "minilm-vocab.txt", _preprocess, {}, graph=4),
        "minilm": BuiltIn(
            "minilm", "minilm.safetensors", _minilm, {"width": 384, "any_length": True}, graph=3
        ),
        "efficientnet-lite0": BuiltIn(
            "efficientnet-lite0",
            "efficientnet-lite0.safetensors",
            _lite0,
            {"width": 1280},
            graph=3,
            lite=True,
        ),
    }
)


def preprocess_module(vocabulary: list[str]) -> "tf.train.Checkpoint":
    """A preprocessor with the interface of TF-Hub's `bert_en_uncased_preprocess/3`, for this WordPiece vocabulary.

    Its token ids are those of the tokenizer that was published with BERT (`FullTokenizer`, uncased).
    Called on strings [n] it gives int32 `input_word_ids`, `input_mask`, `input_type_ids`, each [n, 128];
    `.tokenize` gives ragged int32 ids; `.bert_pack_inputs([ids] or [ids_1, ids_2], seq_length=...)` packs them.
    """
    import tensorflow as tf
    import tensorflow_text as tf_text

    longest = 4 * LONGEST_WORD  # in bytes, of four-byte characters; `bert_words` counts characters
    tokenizer = tf_text.FastWordpieceTokenizer(
        vocabulary, max_bytes_per_word=longest, token_out_type=tf.int32
    )
    start, end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def tokenize(texts: Any) -> Any:
        return tokenizer.tokenize(bert_words(texts))

    @tf.function(autograph=False)
    def pack(segments: Any, seq_length: Any = PREPROCESS_LENGTH) -> dict[str, Any]:
        trimmer = tf_text.RoundRobinTrimmer(seq_length - len(segments) - 1)
        ids, types = tf_text.combine_segments(trimmer.trim(segments), start, end)
        ids, mask = tf_text.pad_model_inputs(ids, seq_length)
        types, _ = tf_text.pad_model_inputs(types, seq_length)
        return {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}

    ragged = tf.RaggedTensorSpec([None, None], tf.int32)
    for segments in ([ragged], [ragged, ragged]):
        pack.get_concrete_function(segments, seq_length=tf.TensorSpec([], tf.int32))

    module = tf.train.Checkpoint()
    module.tokenize = tokenize
    module.bert_pack_inputs = pack
    module.__call__ = tf.function(
        lambda texts: pack([tokenize(texts)], seq_length=tf.constant(PREPROCESS_LENGTH)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    return module


def bert_module(weights: Weights, heads: int) -> "tf.train.Checkpoint":
    """A BERT encoder (Devlin et al., 2018) of the weights of a Hugging Face checkpoint, for sequences of any length.

    Called on the dictionary of a preprocessor, int32 [n, length], it gives `sequence_output` float32
    [n, length, width], the last states, and `pooled_output` [n, width], their mean over the tokens of the mask:
    what the sentence-transformers models of this form take as the text's embedding, before its normalisation.
    """
    import tensorflow as tf

    tensors = _fused_bert(weights, heads)
    layers = sum(name.endswith(".qkv.weight") for name in tensors)
    v = {name: tf.Variable(value, name=name) for name, value in tensors.items()}
    width = v["embeddings.LayerNorm.bias"].shape[0]

    def dense(x: Any, name: str) -> Any:
        return tf.nn.bias_add(tf.matmul(x, v[f"{name}.weight"]), v[f"{name}.bias"])

    def normalised(x: Any, name: str) -> Any:
        x = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
        return x * (tf.math.rsqrt(variance + 1e-12) * v[f"{name}.weight"]) + v[f"{name}.bias"]

    def activated(x: Any) -> Any:
        return 0.5 * x * (1 + tf.math.erf(x * 0.5**0.5))

    def attended(x: Any, name: str, shape: tuple[Any, Any], hidden: Any) -> Any:
        n, length = shape
        qkv = tf.reshape(dense(x, f"{name}.qkv"), [n, length, 3, heads, width // heads])
        query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
        shares = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) + hidden)
        return tf.reshape(tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3]), [n * length, width])

    def encode(inputs: dict[str, Any]) -> dict[str, Any]:
        ids, mask = inputs["input_word_ids"], tf.cast(inputs["input_mask"], tf.float32)
        n, length = tf.shape(ids)[0], tf.shape(ids)[1]
        x = tf.gather(v["embeddings.word_embeddings.weight"], ids)
        x += v["embeddings.position_embeddings.weight"][:length]
        x += tf.gather(v["embeddings.token_type_embeddings.weight"], inputs["input_type_ids"])
        x = tf.reshape(normalised(x, "embeddings.LayerNorm"), [n * length, width])
        hidden = (mask[:, None, None, :] - 1) * 1e9
        for layer in (f"encoder.layer.{i}" for i in range(layers)):
            y = dense(attended(x, layer, (n, length), hidden), f"{layer}.attention.output.dense")
            x = normalised(x + y, f"{layer}.attention.output.LayerNorm")
            y = activated(dense(x, f"{layer}.intermediate.dense"))
            x = normalised(x + dense(y, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        x = tf.reshape(x, [n, length, width])
        pooled = tf.reduce_sum(x * mask[:, :, None], axis=1) / tf.reduce_sum(mask, axis=1, keepdims=True)
        return {"pooled_output": pooled, "sequence_output": x}

    names = ("input_word_ids", "input_mask", "input_type_ids")
    signature = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
    blocks = [[v[name] for name in v if name.startswith(f"encoder.layer.{i}.")] for i in range(layers)]
    return _module(v, encode, signature, blocks)


def _fused_bert(weights: Weights, heads: int) -> dict[str, np.ndarray]:
    """The tensors by name, kernels transposed; query, key and value joined, the query scaled by 1/sqrt(depth)."""
    tensors = {
        name: np.ascontiguousarray(value.T) if ".dense.weight" in name else value
        for name, value in weights.items()
        if ".self." not in name and not name.startswith("pooler.") and name != "embeddings.position_ids"
    }
    width = weights["embeddings.LayerNorm.bias"].shape[0]
    for query in [name for name in weights if name.endswith(".self.query.weight")]:
        layer = query.removesuffix(".attention.self.query.weight")
        for part in ("weight", "bias"):
            q, k, u = (
                weights[f"{layer}.attention.self.{which}.{part}"] for which in ("query", "key", "value")
            )
            tensors[f"{layer}.qkv.{part}"] = np.concatenate(
                [q * np.float32((width // heads) ** -0.5), k, u]
            ).T
    return tensors


def lite0_module(weights: Weights) -> "tf.train.Checkpoint":
    """EfficientNet-Lite0 without its classifier, of the weights of its PyTorch checkpoint, for images of any size.

    Called on float32 [n, height, width, 3], RGB in 0..1, it gives the globally averaged features [n, 1280].
    """
    import tensorflow as tf

    tensors = _folded_lite0(weights)
    # Without its leading underscore, which no variable's name may have when it is saved.
    v = {name: tf.Variable(value, name=name.removeprefix("_")) for name, value in tensors.items()}

    def convolved(x: Any, name: str, stride: int = 1) -> Any:
        if name.endswith("_depthwise_conv"):
            x = tf.nn.depthwise_conv2d(x, v[f"{name}.weight"], [1, stride, stride, 1], "SAME")
        else:
            x = tf.nn.conv2d(x, v[f"{name}.weight"], stride, "SAME")
        x = tf.nn.bias_add(x, v[f"{name}.bias"])
        return x if name.endswith("_project_conv") else tf.nn.relu6(x)

    def encode(images: Any) -> Any:
        x = convolved((images * 255 - 127) / 128, "_conv_stem", stride=2)
        for i, stride in enumerate(LITE0_STRIDES):
            block = f"_blocks.{i}"
            y = convolved(x, f"{block}._expand_conv") if f"{block}._expand_conv.bias" in v else x
            y = convolved(convolved(y, f"{block}._depthwise_conv", stride), f"{block}._project_conv")
            x = x + y if stride == 1 and x.shape[-1] == y.shape[-1] else y
        return tf.reduce_mean(convolved(x, "_conv_head"), axis=[1, 2])

    images = tf.TensorSpec([None, None, None, 3], tf.float32, name="images")
    blocks = [[v[name] for name in v if name.startswith(f"_blocks.{i}.")] for i in range(len(LITE0_STRIDES))]
    blocks[-1] += [v[name] for name in v if name.startswith("_conv_head.")]
    return _module(v, encode, images, blocks)


def _folded_lite0(weights: Weights) -> dict[str, np.ndarray]:
    """Kernel and bias of each convolution, in TensorFlow's layout, its batch normalisation folded into them."""
    blocks = [f"_blocks.{i}." for i in range(len(LITE0_STRIDES))]
    pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
    pairs += [(f"{block}_expand_conv", f"{block}_bn0") for block in blocks]
    pairs += [(f"{block}_depthwise_conv", f"{block}_bn1") for block in blocks]
    pairs += [(f"{block}_project_conv", f"{block}_bn2") for block in blocks]
    tensors = {}
    for name, norm in pairs:
        if f"{name}.weight" not in weights:  # the first block does not expand
            continue
        scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + np.float64(1e-3))
        kernel = weights[f"{name}.weight"] * scale[:, None, None, None]
        axes = (2, 3, 0, 1) if name.endswith("_depthwise_conv") else (2, 3, 1, 0)
        tensors[f"{name}.weight"] = kernel.transpose(axes).astype(np.float32)
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        tensors[f"{name}.bias"] = bias.astype(np.float32)
    return tensors


def _module(
    variables: Mapping[str, "tf.Variable"],
    call: Callable[[Any], Any],
    signature: Any,
    layers: Sequence[Sequence["tf.Variable"]],
) -> "tf.train.Checkpoint":
    """A callable module with the attributes that TF-Hub's reusable SavedModels have, and `layer_variables`.

    `layers` are the variables of each layer, from the first to the last: what is trained when the last N are.
    """
    import tensorflow as tf

    module = tf.train.Checkpoint()
    module.variables = module.trainable_variables = list(variables.values())
    module.layer_variables = [list(layer) for layer in layers]
    module.__call__ = tf.function(call, input_signature=[signature], autograph=False)
    return module
