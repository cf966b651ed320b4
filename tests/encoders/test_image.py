import shutil
from pathlib import Path

import numpy as np
import pytest

from entailment.encoders.image import ImageEncoder
from entailment.errors import EncoderError
from tests.encoders.encoder_contract import check_image_encoder

NOWHERE = Path("never written")


def test_contract_module_of_other_origin(random_modules) -> None:
    check_image_encoder(lambda: ImageEncoder(random_modules["image"], NOWHERE, size=24), NOWHERE)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_contract_built_in(built_folder: Path) -> None:
    check_image_encoder(lambda: ImageEncoder("efficientnet-lite0", built_folder), built_folder)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_built_in_works_from_its_folder_alone(built_folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(built_folder / "modules" / "efficientnet-lite0", tmp_path / "carried")
    image = np.full((1, 128, 128, 3), 200, np.uint8)
    carried, built = ImageEncoder(str(copied), NOWHERE), ImageEncoder("efficientnet-lite0", built_folder)
    assert carried.fingerprint == built.fingerprint
    assert carried.encode(image).tobytes() == built.encode(image).tobytes()
    assert not NOWHERE.exists()


def test_fingerprint_follows_size_and_files(random_modules, tmp_path: Path) -> None:
    changed = shutil.copytree(random_modules["image"], tmp_path / "image")
    same = ImageEncoder(str(changed), NOWHERE, size=24).fingerprint
    (changed / "assets" / "added.txt").write_text("x")
    encoders = [
        ImageEncoder(random_modules["image"], NOWHERE, size=24),
        ImageEncoder(random_modules["image"], NOWHERE, size=25),
        ImageEncoder(str(changed), NOWHERE, size=24),
    ]
    assert same == encoders[0].fingerprint
    assert len({encoder.fingerprint for encoder in encoders}) == 3


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 24, 24, 3), np.float32),
        np.zeros((2, 24, 25, 3), np.uint8),
        np.zeros((24, 24, 3), np.uint8),
    ],
)
def test_wrong_images_are_refused(random_modules, images: np.ndarray) -> None:
    with pytest.raises(EncoderError, match=r"uint8 \[n, 24, 24, 3\]"):
        ImageEncoder(random_modules["image"], NOWHERE, size=24).encode(images)


def test_a_text_module_is_no_image_encoder(random_modules) -> None:
    with pytest.raises(EncoderError, match="not mixed up"):
        _ = ImageEncoder(random_modules["text"], NOWHERE).width


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_built_in_vectors_are_the_same_in_any_company(built_folder: Path) -> None:
    encoder = ImageEncoder("efficientnet-lite0", built_folder)
    images = np.random.default_rng(5).integers(0, 256, (11, 128, 128, 3), np.uint8)
    vectors = encoder.encode(images)
    for count in (1, 4, 7):
        assert encoder.encode(images[:count]).tobytes() == vectors[:count].tobytes()
