"""What every encoder must do, whatever its modules."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from entailment.encoders.handles import load_module, resolve_handle
from entailment.encoders.image import ImageEncoder
from entailment.encoders.text import TextEncoder

TEXTS = [
    "a storm hits the harbour tonight",
    "",
    "ok",
    "no storm at all: the harbour is calm, and the boats go out at 7",
    "éclair \N{FIRE} #news @you https://example.org/x?y=1",
    "word " * 300,
    "line one\nline two\ttabbed",
    "half of a surrogate pair: \ud83d",
    *(f"{n} times the same text{' again' * n}" for n in range(40)),
]
TOLERANCE = 1e-5


def check_text_encoder(make: Callable[[], TextEncoder]) -> None:
    encoder = make()
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.width)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) == len(TEXTS), "different texts, different vectors"
    assert encoder.encode([]).shape == (0, encoder.width)

    # To the last bit: what is stored may not depend on what shared its batch.
    order = np.random.default_rng(3).permutation(len(TEXTS))
    assert same_bits(encoder.encode([TEXTS[place] for place in order]), vectors[order]), "shuffled"
    for cut in (1, 5, 23):
        parts = [encoder.encode(TEXTS[:cut]), encoder.encode(TEXTS[cut:])]
        assert same_bits(np.concatenate(parts), vectors), f"split at {cut}"
    assert same_bits(np.concatenate([encoder.encode([text]) for text in TEXTS]), vectors), "one by one"
    plain = encoder._module(encoder.pack(TEXTS))[encoder.output]
    np.testing.assert_allclose(plain, vectors, atol=TOLERANCE)

    pairs = encoder.encode_pairs(TEXTS[:8], TEXTS[8:16])
    assert pairs.shape == (8, encoder.width)
    assert abs(pairs - encoder.encode_pairs(TEXTS[8:16], TEXTS[:8])).max() > TOLERANCE, "a pair has an order"
    one = encoder.encode_pairs(TEXTS[3:4], TEXTS[11:12])
    assert same_bits(one, pairs[3:4])

    again = make()
    assert again.fingerprint == encoder.fingerprint
    assert same_bits(again.encode(TEXTS), vectors)


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def check_image_encoder(make: Callable[[], ImageEncoder], folder: Path) -> None:
    encoder = make()
    images = np.random.default_rng(3).integers(0, 256, (70, encoder.size, encoder.size, 3), np.uint8)
    images[0], images[1] = 0, 255
    images[2:, :, :, 0] //= np.arange(1, 69, dtype=np.uint8)[:, None, None]
    vectors = encoder.encode(images)
    assert vectors.shape == (len(images), encoder.width)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) == len(images), "different images, different vectors"
    assert encoder.encode(images[:0]).shape == (0, encoder.width)

    alone = np.concatenate([encoder.encode(image[None]) for image in images[:5]])
    np.testing.assert_allclose(alone, vectors[:5], atol=TOLERANCE)
    plain = load_module(resolve_handle(encoder.handle, folder))(images.astype(np.float32) / 255)
    np.testing.assert_allclose(plain, vectors, atol=TOLERANCE, rtol=TOLERANCE)
    np.testing.assert_allclose(encoder.encode(images[::-1])[::-1], vectors, atol=TOLERANCE)

    again = make()
    assert again.fingerprint == encoder.fingerprint
    assert again.encode(images).tobytes() == vectors.tobytes()
