import os
import resource
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from contextlib import nullcontext
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, features

from entailment.configuration.images import MAX_DECODED_BYTES
from entailment.data import images as module
from entailment.data.images import (
    KINDS,
    MISSING,
    checksums_fit,
    decode_images,
    decoding_faults,
    read_header,
    thumbnail,
)
from entailment.errors import ImageError
from entailment.workspace import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # pytest takes our filter away

SIZE = 32
MAX_PIXELS = 2_000_000
AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")


def encode(image, kind, **options):
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width=SIZE, height=SIZE, mode="RGB"):
    """A smooth picture without any symmetry; of SIZE x SIZE pixels it is not resized."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [
        255 * columns / width,
        255 * rows / height,
        255 * np.exp(-((columns - 9) ** 2 + rows**2) / 900),
    ]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8)).convert(mode)


def veiled(mode="RGBA"):
    """The picture, the more transparent the further down."""
    image = picture()
    image.putalpha(Image.fromarray(np.linspace(0, 255, SIZE * SIZE).astype(np.uint8).reshape(SIZE, SIZE)))
    return image.convert(mode)


def levels(image):
    return np.asarray(image.convert("RGB")).astype(int)


def over_white(image):
    """The levels of an image with alpha, rounded to the nearest."""
    rgba = np.asarray(image.convert("RGBA")).astype(int)
    return np.rint((rgba[..., :3] * rgba[..., 3:] + 255 * (255 - rgba[..., 3:])) / 255)


def png(depth, colour, rows, width, *chunks, height=None):
    """A PNG of any depth from rows of packed samples; its header may promise another height."""
    header = struct.pack(">IIBBBBB", width, len(rows) if height is None else height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    packed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def grey_png(depth, *chunks):
    """Random grey of 1 to 16 bits, and the levels that it means."""
    samples = np.random.default_rng(depth).integers(0, 2**depth, (SIZE, SIZE))
    if depth == 16:
        return png(16, 0, [row.astype(">u2").tobytes() for row in samples], SIZE), samples >> 8
    bits = (samples[..., None] >> np.arange(depth)[::-1]) & 1
    rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    return png(depth, 0, rows, SIZE, *chunks), samples * 255 // (2**depth - 1)


def by_tensorflow(data, size, channels=3):
    """What TensorFlow's own JPEG decoder and resize give: the independent reference."""
    import tensorflow as tf

    square = tf.image.resize(
        tf.io.decode_jpeg(data, channels, dct_method="INTEGER_ACCURATE"), (size, size), antialias=True
    )
    return np.rint(square.numpy()).clip(0, 255)


def decode_one(data, size=SIZE, max_pixels=MAX_PIXELS):
    pixels, reasons = decode_images([data], size, max_pixels, MAX_DECODED_BYTES)
    assert decoding_faults([data], max_pixels, MAX_DECODED_BYTES) == reasons
    return pixels[0], reasons[0]


def assert_shows(data, expected, within=0):
    pixels, reason = decode_one(data)
    assert reason == ""
    assert np.abs(pixels - expected).max() <= within


EXACT = {
    "png": (encode(picture(), "PNG"), levels(picture())),
    "interlaced png": (encode(picture(), "PNG", interlace=1), levels(picture())),
    "palette png": (encode(picture(mode="P"), "PNG"), levels(picture(mode="P"))),
    **{f"{depth}-bit grey png": (grey_png(depth)[0], grey_png(depth)[1][..., None]) for depth in (1, 2, 4, 8, 16)},
    "gif": (encode(picture(mode="P"), "GIF"), levels(picture(mode="P"))),
    "bmp": (encode(picture(), "BMP"), levels(picture())),
    "one-bit bmp": (encode(picture(mode="1"), "BMP"), levels(picture(mode="1"))),
    "palette bmp": (encode(picture(mode="P"), "BMP"), levels(picture(mode="P"))),
    "grey bmp": (encode(picture(mode="L"), "BMP"), levels(picture(mode="L"))),
    "webp": (encode(picture(), "WEBP", lossless=True), levels(picture())),
    "tiff": (encode(picture(), "TIFF"), levels(picture())),
    "packed tiff": (encode(picture(), "TIFF", compression="tiff_lzw"), levels(picture())),
    "one-bit tiff": (encode(picture(mode="1"), "TIFF", compression="group4"), levels(picture(mode="1"))),
    "cmyk tiff": (encode(picture(mode="CMYK"), "TIFF"), levels(picture(mode="CMYK"))),
    "16-bit tiff": (encode(Image.fromarray(np.full((SIZE, SIZE), 0x4599, np.uint16)), "TIFF"), 0x45),
    "half transparent png": (encode(veiled(), "PNG"), over_white(veiled())),
    "grey and alpha png": (encode(veiled("LA"), "PNG"), over_white(veiled("LA"))),
    "half transparent webp": (encode(veiled(), "WEBP", lossless=True, exact=True), over_white(veiled())),
    "half transparent tiff": (encode(veiled(), "TIFF"), over_white(veiled())),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_what_was_stored_without_loss_is_shown_exactly(name):
    assert_shows(*EXACT[name])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_white(kind):
    image = picture().quantize(8)
    expected = levels(image)
    expected[np.asarray(image) == 3] = 255
    assert_shows(encode(image, kind, transparency=3), expected)


def test_every_alpha_of_a_palette_is_laid_over_white():
    image = picture().quantize(4)
    image.info["transparency"] = bytes([0, 80, 160, 255])
    assert_shows(encode(image, "PNG", transparency=image.info["transparency"]), over_white(image))


@pytest.mark.parametrize(
    ("depth", "colour", "sample", "hidden"),
    [
        (8, 0, b"\x70", 0x70),
        (16, 0, b"\x70\x01", 0x7001),
        (8, 2, b"\x70", 0x70),
        (16, 2, b"\x70\x01", 0x7001),
        (16, 2, b"\x00\x70", 0x70),
    ],
)
def test_the_transparent_colour_of_a_png_without_palette_is_white(depth, colour, sample, hidden):
    channels = 3 if colour == 2 else 1
    other = (b"\x20" * (depth // 8)) * channels
    transparent = (b"tRNS", struct.pack(">H", hidden) * channels)
    pixels, reason = decode_one(png(depth, colour, [sample * channels + other] * 2, 2, transparent), 2)
    assert reason == ""
    assert pixels.tolist() == [[[255] * 3, [0x20] * 3]] * 2


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_transparent_grey_of_few_bits_is_white(depth):
    data, expected = grey_png(depth, (b"tRNS", b"\0\1"))
    expected[expected == 255 // (2**depth - 1)] = 255
    assert_shows(data, expected[..., None])


def tagged(tiff, tag, value, count=1):
    """A little-endian TIFF in which a tag of short numbers says something else."""
    at = tiff.index(struct.pack("<HHI", tag, 3, count)) + 8
    return tiff[:at] + struct.pack("<H", value) * count + tiff[at + 2 * count :]


def test_grey_of_a_tiff_that_begins_with_white_and_grey_of_12_bits():
    samples = np.random.default_rng(0).integers(0, 2**16, (SIZE, SIZE), dtype=np.uint16)
    data = encode(Image.fromarray(samples), "TIFF")
    assert_shows(tagged(data, 262, 0), 255 - (samples >> 8)[..., None])
    octets = np.frombuffer(samples.tobytes(), np.uint8)[: SIZE * SIZE * 3 // 2].reshape(-1, 3)
    high = np.stack([octets[:, 0], octets[:, 1] << 4 | octets[:, 2] >> 4], -1)  # two samples in three bytes
    assert_shows(tagged(data, 258, 12), high.reshape(SIZE, SIZE, 1))
    grey = encode(picture(mode="L"), "TIFF")
    assert_shows(tagged(grey, 262, 0), 255 - levels(picture(mode="L")))
    bits = encode(picture(mode="1"), "TIFF")
    assert_shows(tagged(bits, 262, 0), 255 - levels(picture(mode="1")))


def partial_gif(image, *hidden):
    """A GIF of SIZE x SIZE pixels whose one frame, of half the width and height, begins at (9, 7)."""
    data = bytearray(encode(image.resize((SIZE // 2, SIZE // 2)).quantize(8), "GIF"))
    frame = data.index(b",", 13 + 3 * (2 << (data[10] & 7)))
    data[6:10], data[frame + 1 : frame + 5] = struct.pack("<HH", SIZE, SIZE), struct.pack("<HH", 9, 7)
    if hidden:
        data[frame:frame] = b"!\xf9\x04\x01\0\0" + bytes(hidden) + b"\0"
    return bytes(data)


def partial_webp(image, alpha):
    """The same as an animation, which can say where a frame begins in even numbers alone: at (8, 6)."""

    def chunk(name, data):
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def short(*numbers):
        return b"".join(struct.pack("<I", number)[:3] for number in numbers)

    half = SIZE // 2
    frame = encode(image.resize((half, half)), "WEBP", lossless=True)[12:]
    body = chunk(b"VP8X", bytes([2 + 16 * alpha, 0, 0, 0]) + short(SIZE - 1, SIZE - 1))
    body += chunk(b"ANIM", b"\0" * 6)
    body += chunk(b"ANMF", short(4, 3, half - 1, half - 1, 40) + b"\0" + frame) * 2
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize("name", ["gif", "gif with a transparent colour", "webp", "webp with alpha"])
def test_what_the_first_frame_does_not_cover_is_white(name):
    image, half = picture(), SIZE // 2
    small = image.resize((half, half))
    left, top = (9, 7) if "gif" in name else (8, 6)
    if "gif" in name:
        data, small = partial_gif(image, *([250] if "colour" in name else [])), small.quantize(8)
    else:
        data = partial_webp(image, "alpha" in name)
    expected = np.full((SIZE, SIZE, 3), 255)
    expected[top : top + half, left : left + half] = levels(small)
    assert_shows(data, expected)
    assert (thumbnail(data, SIZE, 10**6, 10**7) == expected).all()


def test_premultiplied_grey_of_a_tiff_is_laid_over_white():
    data = bytearray(encode(Image.new("LA", (SIZE, SIZE), (40, 128)), "TIFF"))
    kind_of_alpha = data.index(struct.pack("<HHI", 338, 3, 1)) + 8
    assert data[kind_of_alpha] == 2
    data[kind_of_alpha] = 1
    assert_shows(bytes(data), 40 + 127, within=1)


def test_sixteen_bit_colours_keep_the_high_byte():
    samples = np.random.default_rng(0).integers(0, 2**16, (SIZE, SIZE, 3))
    data = png(16, 2, [row.astype(">u2").tobytes() for row in samples], SIZE)
    assert_shows(data, samples >> 8)


def test_colours_hidden_under_full_transparency_do_not_matter():
    clear = picture()
    clear.putalpha(0)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        assert_shows(encode(clear, kind, **options), 255)


JPEGS = {
    "jpeg": encode(picture(90, 60), "JPEG", quality=95),
    "strongly compressed jpeg": encode(picture(90, 60), "JPEG", quality=30),
    "progressive jpeg": encode(picture(90, 60), "JPEG", quality=95, progressive=True),
    "grey jpeg": encode(picture(90, 60, "L"), "JPEG", quality=95),
    "cmyk jpeg": encode(picture(90, 60, "CMYK"), "JPEG", quality=95),
    "jpeg with trailing bytes": encode(picture(90, 60), "JPEG", quality=95) + b"\0" * 100,
    "several pictures in one jpeg": encode(picture(90, 60), "MPO", save_all=True, append_images=[picture()]),
}


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_is_what_tensorflow_makes_of_it(name):
    assert_shows(JPEGS[name], by_tensorflow(JPEGS[name], SIZE), within=2)


@pytest.mark.parametrize("size", [(800, 600), (1300, 700), (300, 1200)])
def test_a_jpeg_loaded_at_reduced_scale_stays_close_to_the_full_one(size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 20, size[0] // 20, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=95)
    difference = np.abs(decode_one(data, 64)[0] - by_tensorflow(data, 64))
    assert difference.mean() < 1
    assert difference.max() <= 8


@pytest.mark.parametrize(("shape", "size"), [((60, 90), 32), ((20, 10), 32), ((1, 1), 8), ((700, 33), 50)])
def test_resizing_is_tensorflows(shape, size):
    import tensorflow as tf

    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = tf.image.resize(noise, (size, size), method="bilinear", antialias=True)
    pixels, _ = decode_one(encode(Image.fromarray(noise), "PNG"), size)
    np.testing.assert_array_equal(pixels, np.rint(expected.numpy()).clip(0, 255))


@AVIF
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_avif_is_read(mode):
    image = veiled() if mode == "RGBA" else picture(mode=mode)
    expected = over_white(image) if mode == "RGBA" else levels(image)
    assert_shows(encode(image, "AVIF", quality=100, subsampling="4:4:4"), expected, within=4)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}  # TIFF 6.0, tag 274: where the picture's first row and column are


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", pytest.param("AVIF", marks=AVIF)])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_a_picture_is_put_upright(kind, orientation, endian):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "a maker"  # a tag before the orientation
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {} if kind in ("PNG", "TIFF") else {"quality": 100}
    within = {"JPEG": 12, "AVIF": 12}.get(kind, 0)
    assert_shows(
        encode(picture(), kind, exif=exif, **options), UPRIGHT[orientation](levels(picture())), within
    )


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_senseless_exif_orientation_is_ignored(value):
    exif = Image.Exif()
    exif[0x0112] = value
    pixels, reason = decode_one(encode(picture(90, 60), "JPEG", exif=exif, quality=95))
    assert reason == ""
    np.testing.assert_array_equal(pixels, decode_one(JPEGS["jpeg"])[0])


@given(block=st.binary(max_size=60), head=st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
@settings(max_examples=60, deadline=None)
def test_any_exif_block_leaves_the_picture_readable(block, head):
    segment = b"Exif\0\0" + head + block
    data = JPEGS["jpeg"][:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + JPEGS["jpeg"][2:]
    assert decode_one(data)[1] == ""


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {"comment": b"hello"}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})],
)
def test_of_several_frames_the_first_counts(kind, options):
    first, second = picture(mode="P").convert("RGB"), picture().rotate(180)
    data = encode(first, kind, save_all=True, append_images=[second], duration=40, **options)
    assert_shows(data, levels(first))


FILES = {
    "JPEG": JPEGS["jpeg"],
    "PNG": encode(picture(90, 60), "PNG"),
    "GIF": encode(picture(90, 60), "GIF"),
    "BMP": encode(picture(90, 60), "BMP"),
    "WEBP": encode(picture(90, 60), "WEBP"),
    "TIFF": encode(picture(90, 60), "TIFF"),
    "AVIF": encode(picture(90, 60), "AVIF") if features.check("avif") else b"",
}


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", pytest.param("AVIF", marks=AVIF)]
)
def test_content_decides_not_a_name(kind):
    assert read_header(BytesIO(FILES[kind]), MAX_PIXELS, MAX_DECODED_BYTES) == (kind, 90, 60)
    assert set(FILES) == set(KINDS)


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", pytest.param("AVIF", marks=AVIF)]
)
@pytest.mark.parametrize("left", [0.5, 0.9, 0.98])
def test_a_file_that_was_cut_short_is_refused(kind, left):
    data = FILES[kind]
    pixels, reason = decode_one(data[: int(len(data) * left)])
    assert "cut short" in reason and kind in reason
    assert not pixels.any()


def with_jpeg_size(width, height):
    data = bytearray(JPEGS["jpeg"])
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def with_gif_frame(width, height):
    data = bytearray(FILES["GIF"])
    frame = data.index(b",", 13 + 768)
    data[frame + 5 : frame + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def with_bmp_size(width, height):
    return FILES["BMP"][:18] + struct.pack("<ii", width, height) + FILES["BMP"][26:]


def with_tiff_size(width, height):
    data = bytearray(FILES["TIFF"])
    for tag, value in ((256, width), (257, height)):
        entry = next(i for i in range(len(data)) if data[i : i + 8] == struct.pack("<HHI", tag, 4, 1))
        data[entry + 8 : entry + 12] = struct.pack("<I", value)
    return bytes(data)


HUGE = {
    "PNG": png(8, 2, [b"\0" * 270] * 60, 50_000, height=50_000),
    "JPEG": with_jpeg_size(50_000, 50_000),
    "GIF": with_gif_frame(50_000, 50_000),
    "BMP": with_bmp_size(50_000, 50_000),
    "TIFF": with_tiff_size(50_000, 50_000),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_header_that_promises_too_much_is_refused_before_anything_is_decoded(kind):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, reasons = decode_images([HUGE[kind]] * 4, SIZE, MAX_PIXELS, MAX_DECODED_BYTES)
    assert reasons == ["too large: 50000 x 50000 pixels, at most 2000000 in all are read"] * 4
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    )  # its pixels would take 7.5 GB


@pytest.mark.parametrize(("side", "words"), [(10_000, ""), (20_000, "at most 200000000 in all")])
def test_our_limit_holds_and_not_pillows(side, words):
    """Pillow's own would warn of the first one, and raise an error of its own for the second."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            header = read_header(BytesIO(with_gif_frame(side, side)), 200_000_000, 10**10)
        except ImageError as fault:
            assert words and words in str(fault)
        else:
            assert not words and header == ("GIF", side, side)


def test_the_bound_on_pixels_is_inclusive():
    assert decode_one(FILES["PNG"], max_pixels=90 * 60)[1] == ""
    assert "too large" in decode_one(FILES["PNG"], max_pixels=90 * 60 - 1)[1]


def planar_tiff():
    """Pillow would read each 16-bit sample as two of 8 bits."""
    data = tagged(encode(picture(), "TIFF"), 284, 2)
    at = int.from_bytes(data[data.index(struct.pack("<HHI", 258, 3, 3)) + 8 :][:4], "little")
    return data[:at] + struct.pack("<3H", 16, 16, 16) + data[at + 6 :]


flipped = bytearray(FILES["PNG"])
flipped[len(flipped) // 2] ^= 1
REFUSED = {
    "text": (b"just a note", "not a JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF image"),
    "web page": (b"\n<!doctype html><title>404</title>", "web page"),
    "json": (b'{"error": "gone"}', "JSON"),
    "drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "pdf": (b"%PDF-1.7", "PDF"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
    "jpeg without its end mark": (JPEGS["jpeg"][:-2], "JPEG data cannot be decoded"),
    "jpeg cut in its header": (JPEGS["jpeg"][:30], "JPEG header cannot be read"),
    "png cut in its header": (FILES["PNG"][:18], "PNG header cannot be read"),
    "png without its last chunk": (FILES["PNG"][:-12], "PNG data cannot be decoded"),
    "png with a flipped bit": (bytes(flipped), "PNG data cannot be decoded"),
    "gif without a frame": (FILES["GIF"][:13] + b";", "GIF header cannot be read"),
    "no pixels": (png(8, 2, [b""], 0), "PNG header cannot be read"),
    "32-bit integers": (encode(picture(mode="I"), "TIFF"), "32-bit integers"),
    "floating point": (encode(picture(mode="F"), "TIFF"), "floating-point numbers"),
    "grey of 16 bits with alpha": (
        tagged(encode(veiled("LA"), "TIFF"), 258, 16, 2),
        "a TIFF of a form that is not read: save it with 8 bits a sample",
    ),
    "colours of 16 bits one after another": (planar_tiff(), "a TIFF of a form that is not read"),
    "jpeg of 12 bits": (
        JPEGS["jpeg"].replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        "a JPEG of a form",
    ),
    "other colours": (encode(Image.new("LAB", (9, 9)), "TIFF"), "CIELAB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files_are_black_with_a_plain_reason(name):
    data, words = REFUSED[name]
    pixels, reason = decode_one(data)
    assert words in reason
    assert not pixels.any()


def test_avif_that_pillow_was_not_built_to_read_is_no_image(monkeypatch):
    from PIL import AvifImagePlugin

    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    assert "AVIF" in decode_one(b"\0\0\0\x1cftypavif\0\0\0\0" + b"\0" * 40)[1]


def test_checksums_of_a_png():
    assert checksums_fit(BytesIO(FILES["PNG"]), MAX_PIXELS)
    assert not checksums_fit(BytesIO(bytes(flipped)), MAX_PIXELS)


def test_later_frames_of_a_gif_are_never_unpacked():
    red, blue = (Image.new("RGB", (1000, 1000), colour) for colour in ("red", "blue"))
    data = encode(red, "GIF", save_all=True, append_images=[blue], duration=40)
    second = data[data.rindex(b"!\xf9\x04") : -1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels, reason = decode_one(data[:-1] + second * 2000 + b";")
    assert reason == ""
    assert (pixels == (255, 0, 0)).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # all frames would take 2 GB


def test_absent_and_bad_images_do_not_disturb_the_others():
    data = [b"", JPEGS["jpeg"], b"nonsense", None, FILES["PNG"], JPEGS["jpeg"][:-300], bytes(flipped)]
    pixels, reasons = decode_images(data, SIZE, MAX_PIXELS, MAX_DECODED_BYTES)
    assert [bool(reason) for reason in reasons] == [True, False, True, True, False, True, True]
    assert reasons[0] == reasons[3] == MISSING
    np.testing.assert_array_equal(pixels[1], decode_one(JPEGS["jpeg"])[0])
    np.testing.assert_array_equal(pixels[4], decode_one(FILES["PNG"])[0])
    assert not pixels[[0, 2, 3, 5, 6]].any()


@pytest.mark.parametrize("data", [[], [b""], [b"nonsense"]])
def test_nothing_to_decode(data):
    pixels, reasons = decode_images(data, SIZE, MAX_PIXELS, MAX_DECODED_BYTES)
    assert pixels.shape == (len(data), SIZE, SIZE, 3)
    assert all(reasons)


def test_pixels_do_not_depend_on_threads_nor_on_what_is_decoded_beside(monkeypatch):
    data = [item for item in (*FILES.values(), *JPEGS.values(), REFUSED["text"][0], b"") if item] * 7
    alone = [decode_one(item) for item in data]
    for cores in (1, 2, 5):
        monkeypatch.setattr(module, "core_count", lambda cores=cores: cores)
        for limit in (100_000, 200_000, 10**9):
            pixels, reasons = decode_images(data, SIZE, MAX_PIXELS, limit)
            assert reasons == [reason for _, reason in alone]
            np.testing.assert_array_equal(pixels, np.stack([image for image, _ in alone]))


class Watch:
    """Counts the pixels that are loaded at once, in whatever threads."""

    def __init__(self, monkeypatch):
        self.most, self._now, self._lock, load = 0, 0, threading.Lock(), ImageFile.ImageFile.load

        def watched(image):
            with self._lock:
                self._now += image.width * image.height
                self.most = max(self.most, self._now)
            time.sleep(0.002)  # gives the others time to come in
            try:
                return load(image)
            finally:
                with self._lock:
                    self._now -= image.width * image.height

        monkeypatch.setattr(ImageFile.ImageFile, "load", watched)
        monkeypatch.setattr(module, "core_count", lambda: 4)


def test_what_is_decoded_at_once_stays_below_the_bound(monkeypatch):
    watch, sides = Watch(monkeypatch), (300, 40, 90, 120, 60, 200) * 8
    data = [encode(picture(side, side), "BMP") for side in sides]
    _, reasons = decode_images(data, SIZE, MAX_PIXELS, 10**9)
    assert not any(reasons) and watch.most > 150_000  # several at once
    watch.most = 0
    threads = [
        threading.Thread(target=decode_images, args=(data, SIZE, MAX_PIXELS, 1_000_000)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 90_000 <= watch.most <= 100_000  # at 10 bytes a pixel


@pytest.mark.parametrize(
    ("data", "kind", "held"),
    [
        (FILES["PNG"], "PNG", 90 * 60 * 10),
        (FILES["WEBP"], "WEBP", 90 * 60 * 18),
        (JPEGS["jpeg"], "JPEG", 90 * 60 * 10),
        (encode(picture(900, 600), "JPEG"), "JPEG", 113 * 75 * 10),  # loaded at an eighth
        (encode(picture(900, 600), "JPEG", progressive=True), "JPEG", 113 * 75 * 10 + 900 * 600 * 6),
        (encode(picture(900, 600, "CMYK"), "JPEG", progressive=True), "JPEG", 113 * 75 * 10 + 900 * 600 * 8),
    ],
    ids=["png", "webp", "jpeg", "large jpeg", "large progressive jpeg", "large progressive cmyk jpeg"],
)
def test_an_image_that_would_hold_more_than_the_bound_by_itself_is_refused(data, kind, held):
    for most, words in (
        (held, ""),
        (held - 1, f"holds {held} bytes while it is decoded, at most {held - 1}"),
    ):
        _, (reason,) = decode_images([data], SIZE, MAX_PIXELS, most)
        assert words in reason and bool(words) is bool(reason)
        if kind != "JPEG":  # which is loaded smaller where only its faults are asked for
            assert decoding_faults([data], MAX_PIXELS, most) == [reason]
            with nullcontext() if not words else pytest.raises(ImageError, match=words):
                read_header(BytesIO(data), MAX_PIXELS, most)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bound_is_what_is_held():
    """Four pictures with alpha, of 4 million pixels each, of which the bound lets two be decoded at once."""
    code = """
import numpy as np
from io import BytesIO
from PIL import Image
from entailment.data import images

rows, columns = np.mgrid[0:2000, 0:2000]
levels = np.stack([rows % 256, columns % 256, (rows + columns) // 16 % 256, rows // 8], -1).astype(np.uint8)
picture = Image.fromarray(levels)
images.core_count = lambda: 4
del rows, columns, levels

def memory(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024

def held(kind, pixel, **options):
    stream = BytesIO()
    picture.save(stream, kind, **options)
    images.decode_images([stream.getvalue()], 64, 10**8, 10**9)  # loads what decodes
    before = memory("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak from here on
    _, reasons = images.decode_images([stream.getvalue()] * 4, 64, 10**8, 2 * pixel * 4_000_000)
    assert reasons == [""] * 4
    return (memory("VmHWM") - before) / 4_000_000

print(held("PNG", 10, compress_level=1), held("WEBP", 18, lossless=True, exact=True, method=0, quality=0))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"},  # what was given back is not kept for later
        capture_output=True,
        text=True,
        check=True,
    )
    png_pixel, webp_pixel = map(float, done.stdout.split())
    assert 0.8 * 10 < png_pixel < 1.1 * 2 * 10
    assert 0.8 * 18 < webp_pixel < 1.1 * 2 * 18


@given(
    name=st.sampled_from(sorted({**FILES, **JPEGS, **dict.fromkeys(EXACT)})),
    cut=st.floats(0, 1),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_never_crash_and_header_and_decoder_agree(name, cut, edits):
    data = bytearray(FILES.get(name) or JPEGS.get(name) or EXACT[name][0])
    if cut < 0.5:
        data = data[: int(len(data) * cut * 2)]
    for place, value in edits:
        if place < len(data):
            data[place] = value
    try:
        read_header(BytesIO(bytes(data)), MAX_PIXELS, MAX_DECODED_BYTES)
        sound = True
    except ImageError:
        sound = False
    _, reason = decode_one(bytes(data))
    assert sound or reason  # what the header refuses, the decoder refuses too


@given(kind=st.sampled_from(KINDS), data=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_random_bytes_after_any_signature_have_a_reason(kind, data):
    pixels, reason = decode_one(FILES[kind][:16] + data)
    assert reason and not pixels.any()


def test_a_thumbnail_keeps_its_proportions_stands_upright_and_is_none_where_it_cannot_be_decoded():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGBA", (400, 100), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 200, 100))
    stream = BytesIO()
    picture.save(stream, "PNG", exif=exif)
    small = thumbnail(stream.getvalue(), 80, 10**6, 10**7)
    assert small.shape == (80, 20, 3) and small.dtype == np.uint8
    assert small[5, 5].tolist() == [255, 0, 0] and small[75, 5].tolist() == [255, 255, 255]
    assert thumbnail(stream.getvalue(), 800, 10**6, 10**7).shape == (400, 100, 3)
    assert thumbnail(stream.getvalue()[:100], 80, 10**6, 10**7) is None
    assert thumbnail(stream.getvalue(), 80, 100, 10**7) is None
    assert thumbnail(stream.getvalue(), 80, 10**6, 100) is None
    grey = BytesIO()
    Image.new("I;16", (40, 10), 65535).save(grey, "PNG")
    assert thumbnail(grey.getvalue(), 20, 10**6, 10**7).tolist() == [[[255] * 3] * 20] * 5
