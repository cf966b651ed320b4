"""Networks of Keras as encoders: the features are Keras's own, built once, and what is wrong is said."""

import json
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from entailment.encoders.handles import load_module, resolve_handle
from entailment.encoders.image import ImageEncoder
from entailment.encoders.keras_applications import _network
from entailment.encoders.trainable import TrainableEncoder
from entailment.errors import EncoderError
from tests.encoders.encoder_contract import check_image_encoder
from tests.encoders.random_modules import write_network_weights

NAME = "VGG16"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network_weights(NAME, tmp_path_factory.mktemp("weights") / "random.weights.h5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where modules of these tests are built."""
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Keras's that holds no weights."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()
    return tmp_path / "keras"


def plain_features(name: str, family: str, file: Path, images: np.ndarray) -> np.ndarray:
    """What the network gives in plain Keras, scaled as the documentation of its family says."""
    import keras

    network = getattr(keras.applications, name)(include_top=False, pooling="avg", weights=str(file))
    scaled = getattr(keras.applications, family).preprocess_input(images.astype(np.float32))
    features: np.ndarray = network.predict(scaled, verbose=0)
    return features


@pytest.mark.parametrize(
    ("name", "family", "width"),
    [
        ("MobileNet", "mobilenet", 1024),
        pytest.param("ResNet50V2", "resnet_v2", 2048, marks=[pytest.mark.slow, pytest.mark.timeout(200)]),
    ],
)
def test_features_are_keras_s_own(name: str, family: str, width: int, tmp_path: Path) -> None:
    file = write_network_weights(name, tmp_path / "random.weights.h5")
    images = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = plain_features(name, family, file, images)
    encoder = ImageEncoder(f"keras:{name}@{file}", tmp_path, size=64)
    assert encoder.width == width and expected.std() > 0.01
    np.testing.assert_allclose(encoder.encode(images), expected, atol=1e-5, rtol=1e-5)


def test_contract_network_of_keras(weights: Path, folder: Path) -> None:
    check_image_encoder(lambda: ImageEncoder(f"keras:{NAME}@{weights}", folder, size=32), folder)


PIXEL = np.array([10.0, 100.0, 200.0], np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ResNet50", [200 - 103.939, 100 - 116.779, 10 - 123.68]),
        ("ResNet50V2", PIXEL / 127.5 - 1),
        ("MobileNetV2", PIXEL / 127.5 - 1),
        ("DenseNet121", (PIXEL / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("EfficientNetB0", PIXEL),
    ],
)
def test_each_family_has_its_own_scaling(name: str, expected: np.ndarray) -> None:
    import tensorflow as tf

    _, scale = _network(name)
    scaled = scale(tf.constant(np.tile(PIXEL, (1, 2, 2, 1))))
    np.testing.assert_allclose(scaled, np.tile(expected, (1, 2, 2, 1)), rtol=1e-5)


def test_a_network_is_built_once_for_each_content_of_its_file(weights: Path, folder: Path, tmp_path: Path):
    path = resolve_handle(f"keras:{NAME}@{weights}", folder)
    before = (path / "saved_model.pb").stat().st_mtime_ns
    copied = shutil.copy(weights, tmp_path / "same.h5")
    assert resolve_handle(f"keras:{NAME}@{copied}", folder) == path
    assert (path / "saved_model.pb").stat().st_mtime_ns == before
    other = write_network_weights(NAME, tmp_path / "other.weights.h5", seed=8)
    changed = resolve_handle(f"keras:{NAME}@{other}", folder)
    assert changed.parent == path.parent == folder / "modules" and changed != path
    described = [json.loads((module / "module.json").read_text()) for module in (path, changed)]
    assert described[0]["name"] == NAME and described[0]["project"] == "keras" and described[0]["version"]
    assert described[0]["weights_sha256"] != described[1]["weights_sha256"]


def test_imagenet_s_weights_are_asked_of_keras_once(
    weights: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    asked = []

    def get_file(fname: str, origin: str, **options: object) -> str:
        asked.append(fname)
        print("downloading")
        return str(weights)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    path = resolve_handle(f"keras:{NAME}", tmp_path)
    assert resolve_handle(f"keras:{NAME}", tmp_path) == path
    assert asked == ["vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"]
    assert "downloading" not in capfd.readouterr().out, "what a command prints is not mixed with progress"
    of_file = resolve_handle(f"keras:{NAME}@{weights}", folder)
    described = [json.loads((module / "module.json").read_text()) for module in (path, of_file)]
    assert [record["weights"] for record in described] == ["imagenet", "file"]
    assert described[0]["weights_sha256"] == described[1]["weights_sha256"]


def test_offline_says_which_file_and_where(
    keras_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*arguments: object) -> None:
        raise URLError(OSError("no network"))

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    with pytest.raises(EncoderError) as caught:
        resolve_handle("keras:ResNet50V2", tmp_path / "encoders")
    said = str(caught.value)
    assert (
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5" in said
        and str(keras_home / "models") in said
    )
    assert "Connect to the network" in said and "keras:ResNet50V2@FILE" in said and "\n" not in said
    assert not list((tmp_path / "encoders" / "modules").glob("*/"))


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        ("keras:Nope", "no such network. Did you mean keras:"),
        ("keras:resnet50v2", "Did you mean keras:ResNet50V2?"),
        ("keras:ResNet50V2@absent.h5", "there is no file /"),
        ("keras", "keras:NAME@FILE"),
    ],
)
def test_what_is_not_there_is_named(handle: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(EncoderError) as caught:
        resolve_handle(handle, tmp_path)
    assert handle in str(caught.value) and words in str(caught.value)


def test_a_file_with_other_weights_is_named(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "page.weights.h5").write_text("<html>log in</html>")
    for handle in (f"keras:{NAME}@{tmp_path / 'page.weights.h5'}", f"keras:MobileNet@{weights}"):
        with pytest.raises(EncoderError, match="does not hold weights of this network") as caught:
            resolve_handle(handle, tmp_path / "encoders")
        assert handle in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path / "encoders" / "modules").glob("*/"))


def test_a_network_can_be_trained(weights: Path, folder: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    handle = f"keras:{NAME}@{weights}"
    whole, last = (TrainableEncoder("encoders.image.trainable", handle, folder, n) for n in ("all", 2))
    assert [v.shape.as_list() for v in last.variables] == [[3, 3, 512, 512], [512]] * 2
    assert len(whole.variables) == 13 * 2
    images = tf.constant(np.random.default_rng(5).random((2, 32, 32, 3), np.float32))
    before = whole.module(images)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(whole.module(images) ** 2)
    for variable, gradient in zip(whole.variables, tape.gradient(loss, whole.variables), strict=True):
        assert np.isfinite(gradient).all()
        variable.assign_sub(0.01 * gradient)
    tuned = load_module(whole.save(tmp_path / "tuned"))(images)
    np.testing.assert_allclose(tuned, whole.module(images), atol=1e-6)
    assert abs(tuned - before).numpy().max() > 1e-4
