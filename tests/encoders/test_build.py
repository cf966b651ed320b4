import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from entailment.encoders import build
from entailment.encoders.build import BuiltIn, bert_module, build_module, lite0_module, preprocess_module
from entailment.files import write_json
from tests.encoders.random_modules import HEADS, VOCABULARY, random_bert_weights


def numpy_bert(weights: dict[str, np.ndarray], heads: int, ids: list[int], types: list[int]) -> np.ndarray:
    """BERT's last states [length, width] of one unpadded sequence, as the paper writes it."""
    from scipy.special import erf, softmax

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalised(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(ids), heads, -1).swapaxes(0, 1)

    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = normalised(x + weights["embeddings.token_type_embeddings.weight"][types], "embeddings.LayerNorm")
    layers = sum(name.endswith(".query.weight") for name in weights)
    for layer in (f"encoder.layer.{i}" for i in range(layers)):
        q, k, v = (split(dense(x, f"{layer}.attention.self.{which}")) for which in ("query", "key", "value"))
        mixed = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]), axis=-1) @ v
        attended = dense(mixed.swapaxes(0, 1).reshape(len(ids), -1), f"{layer}.attention.output.dense")
        x = normalised(x + attended, f"{layer}.attention.output.LayerNorm")
        y = dense(x, f"{layer}.intermediate.dense")
        y = dense(y * (1 + erf(y / np.sqrt(2))) / 2, f"{layer}.output.dense")
        x = normalised(x + y, f"{layer}.output.LayerNorm")
    return x


def test_bert_equals_numpy_with_and_without_padding() -> None:
    weights = random_bert_weights()
    rows = [([2, 9, 30, 31, 3, 12, 3], [0, 0, 0, 0, 0, 1, 1]), ([2, 40, 3], [0, 0, 0])]
    inputs = {
        "input_word_ids": np.zeros((2, 9), np.int32),
        "input_mask": np.zeros((2, 9), np.int32),
        "input_type_ids": np.zeros((2, 9), np.int32),
    }
    for row, (ids, types) in enumerate(rows):
        inputs["input_word_ids"][row, : len(ids)] = ids
        inputs["input_type_ids"][row, : len(ids)] = types
        inputs["input_mask"][row, : len(ids)] = 1
    outputs = bert_module(weights, HEADS).__call__(inputs)
    for row, (ids, types) in enumerate(rows):
        states = numpy_bert(weights, HEADS, ids, types)
        np.testing.assert_allclose(outputs["sequence_output"][row, : len(ids)], states, atol=1e-5)
        np.testing.assert_allclose(outputs["pooled_output"][row], states.mean(axis=0), atol=1e-5)


def test_preprocessor_is_an_uncased_bert_tokenizer() -> None:
    packed = preprocess_module(VOCABULARY).__call__(["Ab, É!", ""])
    tokens = [[VOCABULARY[i] for i in row] for row in packed["input_word_ids"].numpy()]
    assert tokens[0][:7] == ["[CLS]", "a", "##b", ",", "e", "!", "[SEP]"]
    assert tokens[1][:3] == ["[CLS]", "[SEP]", "[PAD]"]
    np.testing.assert_array_equal(packed["input_mask"].numpy().sum(axis=1), [7, 2])
    assert not packed["input_type_ids"].numpy().any()
    assert {tuple(ids.shape) for ids in packed.values()} == {(2, 128)}


def write_tiny(path: Path):
    import tensorflow as tf

    module = tf.train.Checkpoint()
    module.content = tf.constant(path.read_text())
    return module


TINY = BuiltIn("tiny", "tiny.txt", write_tiny, {"width": 3}, graph=1)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which the built-in module `tiny` can be built without a download."""
    kept = tmp_path / "weights"
    kept.mkdir()
    (kept / "tiny.txt").write_text("weights")
    record = {
        "project": "tiny",
        "version": "1",
        "wheel_sha256": "0",
        "licence": "free",
        "files": {"tiny.txt": "1"},
    }
    write_json(kept / "tiny.json", record)
    monkeypatch.setattr(build, "fetch_weights", lambda name, folder: folder / "weights")
    monkeypatch.setattr(build, "BUILT_IN", {"tiny": TINY})
    return tmp_path


def test_a_module_is_built_once_and_described(tiny: Path) -> None:
    left = tiny / "modules" / ".tiny.abcd1234" / "tiny"  # by a killed process
    left.mkdir(parents=True)
    path = build_module("tiny", tiny)
    assert not left.parent.exists()
    described = json.loads((path / "module.json").read_text())
    assert described["width"] == 3
    assert described["licence"] == "free"
    assert described["weights_sha256"] == "1"
    before = (path / "saved_model.pb").stat().st_mtime_ns
    assert build_module("tiny", tiny) == path
    assert (path / "saved_model.pb").stat().st_mtime_ns == before


def test_a_module_of_an_older_graph_is_built_anew(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build_module("tiny", tiny)
    (path / "left over").write_text("")
    monkeypatch.setattr(build, "BUILT_IN", {"tiny": TINY._replace(graph=2)})
    build_module("tiny", tiny)
    assert not (path / "left over").exists()
    assert json.loads((path / "module.json").read_text())["graph"] == 2


def test_a_failed_build_leaves_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(module: object, path: str) -> None:
        Path(path).mkdir()
        raise OSError("No space left on device")

    monkeypatch.setattr("tensorflow.saved_model.save", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        build_module("tiny", tiny)
    assert caught.value.filename == str(tiny / "modules" / "tiny")
    assert [path.name for path in (tiny / "modules").iterdir()] == ["tiny.lock"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_build_one_module(built_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(built_folder / "weights", tmp_path / "weights")
    script = (
        "import sys; from pathlib import Path; from entailment.encoders.build import build_module;"
        "print(build_module('efficientnet-lite0', Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    assert [path.name for path in (tmp_path / "modules").glob("*/")] == ["efficientnet-lite0"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_minilm_is_the_genuine_model(built_folder: Path) -> None:
    from safetensors.numpy import load_file

    from entailment.encoders.text import TextEncoder

    weights = load_file(built_folder / "weights" / "minilm.safetensors")
    encoder = TextEncoder("minilm", "bert-uncased-preprocess", built_folder)
    texts = ["A man is playing a guitar.", "no", "One hundred and fifty years after its inauguration. " * 4]
    packed = {name: ids.numpy() for name, ids in encoder.pack(texts, texts[::-1]).items()}
    for row, vector in enumerate(encoder.encode_pairs(texts, texts[::-1])):
        used = packed["input_mask"][row] == 1
        ids, types = (packed[name][row][used].tolist() for name in ("input_word_ids", "input_type_ids"))
        np.testing.assert_allclose(vector, numpy_bert(weights, 12, ids, types).mean(axis=0), atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_minilm_knows_what_is_alike(built_folder: Path) -> None:
    from entailment.encoders.text import TextEncoder

    encoder = TextEncoder("minilm", "bert-uncased-preprocess", built_folder)
    vectors = encoder.encode(["A man plays the guitar.", "Somebody makes music.", "Interest rates rose."])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    assert alike[0, 1] > alike[0, 2] + 0.2


def centre(image: np.ndarray) -> np.ndarray:
    """The central 87.5 % of an image, resized to 224 x 224, float32 in 0..1, as [1, 224, 224, 3]."""
    import tensorflow as tf

    side = int(min(image.shape[:2]) * 0.875)
    top, left = ((length - side) // 2 for length in image.shape[:2])
    crop = image[top : top + side, left : left + side][None].astype(np.float32) / 255
    return tf.clip_by_value(tf.image.resize(crop, (224, 224), "bicubic", antialias=True), 0, 1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lite0_with_its_classifier_names_two_photographs(built_folder: Path) -> None:
    from safetensors.numpy import load_file
    from sklearn.datasets import load_sample_image

    weights = load_file(built_folder / "weights" / "efficientnet-lite0.safetensors")
    module = lite0_module(weights)
    for name, expected in (("china.jpg", 698), ("flower.jpg", 985)):  # palace, daisy
        scores = (
            module.__call__(centre(load_sample_image(name))) @ weights["_fc.weight"].T + weights["_fc.bias"]
        )
        assert int(np.argmax(scores)) == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("size", [128, 224, 97])
def test_lite0_equals_the_network_in_plain_keras(built_folder: Path, size: int) -> None:
    from safetensors.numpy import load_file

    weights = load_file(built_folder / "weights" / "efficientnet-lite0.safetensors")
    images = np.random.default_rng(5).random((2, size, size, 3), np.float32)
    expected = keras_lite0(weights)((images * 255 - 127) / 128).numpy()
    np.testing.assert_allclose(lite0_module(weights).__call__(images), expected, atol=2e-5, rtol=1e-4)


def keras_lite0(weights: dict[str, np.ndarray]):
    """The published network layer by layer, its batch normalisations not folded."""
    from keras import Input, Model, layers

    def convolved(x, name: str, norm: str, stride: int = 1, active: bool = True):
        kernel = weights[f"{name}.weight"]
        options = {"strides": stride, "padding": "same", "use_bias": False}
        if "depthwise" in name:
            layer, kernel = layers.DepthwiseConv2D(kernel.shape[2], **options), kernel.transpose(2, 3, 0, 1)
        else:
            layer = layers.Conv2D(len(kernel), kernel.shape[2], **options)
            kernel = kernel.transpose(2, 3, 1, 0)
        x = layer(x)
        layer.set_weights([kernel])
        normalisation = layers.BatchNormalization(epsilon=1e-3)
        x = normalisation(x)
        parts = ("weight", "bias", "running_mean", "running_var")
        normalisation.set_weights([weights[f"{norm}.{part}"] for part in parts])
        return layers.ReLU(max_value=6)(x) if active else x

    images = Input((None, None, 3))
    x, block = convolved(images, "_conv_stem", "_bn0", 2), 0
    for repeats, first_stride in ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)):
        for repeat in range(repeats):
            name, stride, y = f"_blocks.{block}.", 1 if repeat else first_stride, x
            if block:
                y = convolved(y, f"{name}_expand_conv", f"{name}_bn0")
            y = convolved(y, f"{name}_depthwise_conv", f"{name}_bn1", stride)
            y = convolved(y, f"{name}_project_conv", f"{name}_bn2", active=False)
            x, block = (layers.Add()([x, y]) if repeat else y), block + 1
    return Model(images, layers.GlobalAveragePooling2D()(convolved(x, "_conv_head", "_bn1")))
