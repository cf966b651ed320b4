import resource
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from entailment.data.images import MISSING, decode_image, decode_images, read_header
from entailment.errors import ImageError

SIZE = 32
MAX_PIXELS = 2_000_000


def encode(image, kind, **options):
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width=90, height=60, mode="RGB"):
    """A smooth picture without any symmetry."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [
        255 * columns / width,
        255 * rows / height,
        255 * np.exp(-((columns - 9) ** 2 + rows**2) / 900),
    ]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8)).convert(mode)


def with_alpha(alpha):
    image = picture()
    image.putalpha(Image.fromarray(np.full((60, 90), alpha, np.uint8)))
    return image


def by_pillow(data, size=SIZE):
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def decode_one(data, size=SIZE, max_pixels=MAX_PIXELS):
    pixels, reasons = decode_images([data], size, max_pixels)
    return pixels[0], reasons[0]


def assert_like_pillow(data, size=SIZE, levels=2):
    pixels, reason = decode_one(data, size)
    assert reason == ""
    assert np.abs(pixels.astype(int) - by_pillow(data, size)).max() <= levels


def png_of_size(width, height):
    """A tiny PNG whose header claims any size."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 1000)),
        (b"IEND", b""),
    ]
    packed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


FILES = {
    "jpeg": encode(picture(), "JPEG", quality=95),
    "progressive jpeg": encode(picture(), "JPEG", quality=95, progressive=True),
    "grey jpeg": encode(picture(mode="L"), "JPEG", quality=95),
    "cmyk jpeg": encode(picture(mode="CMYK"), "JPEG", quality=95),
    "jpeg with trailing bytes": encode(picture(), "JPEG", quality=95) + b"\0" * 100,
    "png": encode(picture(), "PNG"),
    "palette png": encode(picture(mode="P"), "PNG"),
    "palette png with transparency": encode(picture().quantize(8), "PNG", transparency=3),
    "grey png": encode(picture(mode="L"), "PNG"),
    "one-bit png": encode(picture(mode="1"), "PNG"),
    "grey and alpha png": encode(with_alpha(100).convert("LA"), "PNG"),
    "half transparent png": encode(with_alpha(128), "PNG"),
    "gif": encode(picture(), "GIF"),
    "animated gif": encode(
        picture(), "GIF", save_all=True, append_images=[picture().rotate(180)], duration=40, comment=b"hello"
    ),
    "bmp": encode(picture(), "BMP"),
    "grey bmp": encode(picture(mode="L"), "BMP"),
    "palette bmp": encode(picture(mode="P"), "BMP"),
    "32-bit bmp": encode(with_alpha(255), "BMP"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_kind_decodes_as_pillow_does(name):
    assert_like_pillow(FILES[name])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_exif_orientations_equal_pillows(orientation, endian):
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "a maker"  # a tag before the orientation
    exif[0x0112] = orientation
    data = encode(picture(), "JPEG", exif=exif, quality=95)
    assert_like_pillow(data)
    if orientation > 1:
        assert np.abs(decode_one(data)[0].astype(int) - decode_one(FILES["jpeg"])[0]).mean() > 10


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_senseless_exif_orientation_is_ignored(value):
    exif = Image.Exif()
    exif[0x0112] = value
    pixels, reason = decode_one(encode(picture(), "JPEG", exif=exif, quality=95))
    assert reason == ""
    np.testing.assert_array_equal(pixels, decode_one(FILES["jpeg"])[0])


@given(block=st.binary(max_size=60), head=st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
@settings(max_examples=60, deadline=None)
def test_any_exif_block_leaves_the_picture_readable(block, head):
    segment = b"Exif\0\0" + head + block
    data = FILES["jpeg"][:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + FILES["jpeg"][2:]
    assert decode_one(data)[1] == ""


def test_sixteen_bit_png_keeps_the_high_byte():
    values = np.linspace(0, 65535, 90 * 60).astype(np.uint16).reshape(60, 90)
    pixels, reason = decode_one(encode(Image.fromarray(values), "PNG"))
    expected, _ = decode_one(encode(Image.fromarray((values >> 8).astype(np.uint8)), "PNG"))
    assert reason == ""
    np.testing.assert_array_equal(pixels, expected)


def test_colours_hidden_under_full_transparency_do_not_matter():
    pixels, _ = decode_one(encode(with_alpha(0), "PNG"))
    assert (pixels == 255).all()


def test_content_decides_not_a_name():
    assert read_header(BytesIO(FILES["png"]), MAX_PIXELS) == ("PNG", 90, 60)
    assert read_header(BytesIO(FILES["jpeg"]), MAX_PIXELS) == ("JPEG", 90, 60)
    assert read_header(BytesIO(FILES["gif"]), MAX_PIXELS) == ("GIF", 90, 60)
    assert read_header(BytesIO(FILES["bmp"]), MAX_PIXELS) == ("BMP", 90, 60)


@pytest.mark.parametrize("size", [(800, 600), (1300, 700), (300, 1200)])
def test_a_jpeg_loaded_at_reduced_scale_stays_close_to_the_full_one(size):
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 20, size[0] // 20, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    data = encode(image, "JPEG", quality=95)
    pixels, _ = decode_one(data, 64)
    difference = np.abs(pixels.astype(int) - by_pillow(data, 64))
    assert difference.mean() < 1
    assert difference.max() <= 8


REFUSED = {
    "text": (b"just a note", "not a JPEG"),
    "web page": (b"\n<!doctype html><title>404</title>", "web page"),
    "webp": (encode(picture(), "WEBP"), "WebP"),
    "tiff": (encode(picture(), "TIFF"), "TIFF"),
    "truncated jpeg": (FILES["jpeg"][:-300], "JPEG data cannot be decoded"),
    "jpeg without its end mark": (FILES["jpeg"][:-2], "JPEG data cannot be decoded"),
    "jpeg cut in its header": (FILES["jpeg"][:30], "JPEG header is not whole"),
    "truncated png": (FILES["png"][:-100], "PNG data cannot be decoded"),
    "png cut in its header": (FILES["png"][:18], "PNG header is not whole"),
    "truncated gif": (FILES["gif"][:-400], "GIF data cannot be decoded"),
    "gif without a frame": (FILES["gif"][:13] + b";", "GIF header is not whole"),
    "truncated bmp": (FILES["bmp"][:-500], "BMP data cannot be decoded"),
    "30,000 x 30,000 png": (png_of_size(30_000, 30_000), "too large: 30000 x 30000"),
    "largest png": (png_of_size(2**32 - 1, 2**32 - 1), "too large"),
    "no pixels": (png_of_size(0, 10), "0 x 10"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files_are_black_with_a_plain_reason(name):
    data, words = REFUSED[name]
    pixels, reason = decode_one(data)
    assert words in reason
    assert not pixels.any()


def test_bmp_with_unusual_depth_is_refused():
    one_bit = encode(picture(mode="1"), "BMP")
    assert "BMP with 1 bits a pixel" in decode_one(one_bit)[1]
    run_length = bytearray(FILES["palette bmp"])
    run_length[30] = 1
    assert "compression 1" in decode_one(bytes(run_length))[1]


def test_a_jpeg_that_claims_a_huge_size_is_refused():
    data = bytearray(FILES["jpeg"])
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    assert "too large: 60000 x 60000" in decode_one(bytes(data))[1]


def test_a_small_gif_with_a_huge_first_frame_is_refused():
    data = bytearray(FILES["gif"])
    frame = data.index(b",", 13 + 768)
    data[frame + 5 : frame + 9] = struct.pack("<HH", 60_000, 60_000)
    assert "too large: 60000 x 60000" in decode_one(bytes(data))[1]


def test_later_frames_of_a_gif_are_never_unpacked():
    red, blue = (Image.new("RGB", (1000, 1000), colour) for colour in ("red", "blue"))
    data = encode(red, "GIF", save_all=True, append_images=[blue], duration=40)
    second = data[data.rindex(b"!\xf9\x04") : -1]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels, reason = decode_one(data[:-1] + second * 2000 + b";")
    assert reason == ""
    assert (pixels == (255, 0, 0)).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # all frames would take 2 GB


def test_the_bound_on_pixels_is_inclusive():
    assert decode_one(FILES["png"], max_pixels=90 * 60)[1] == ""
    assert "too large" in decode_one(FILES["png"], max_pixels=90 * 60 - 1)[1]


def test_absent_and_bad_images_do_not_disturb_the_others():
    data = [b"", FILES["jpeg"], b"nonsense", None, FILES["png"], REFUSED["truncated jpeg"][0]]
    pixels, reasons = decode_images(data, SIZE, MAX_PIXELS)
    assert [bool(reason) for reason in reasons] == [True, False, True, True, False, True]
    assert reasons[0] == reasons[3] == MISSING
    np.testing.assert_array_equal(pixels[1], decode_one(FILES["jpeg"])[0])
    np.testing.assert_array_equal(pixels[4], decode_one(FILES["png"])[0])
    assert not pixels[[0, 2, 3, 5]].any()


@pytest.mark.parametrize("data", [[], [b""], [b"nonsense"]])
def test_nothing_to_decode(data):
    pixels, reasons = decode_images(data, SIZE, MAX_PIXELS)
    assert pixels.shape == (len(data), SIZE, SIZE, 3)
    assert all(reasons)


def test_eager_code_records_and_a_saved_model_agree_bit_for_bit(tmp_path):
    import tensorflow as tf

    class Decoder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def __call__(self, data):
            return decode_image(data, SIZE, MAX_PIXELS)

    tf.saved_model.save(Decoder(), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))
    large = encode(picture(700, 500), "JPEG")
    files = [FILES["png"], FILES["palette bmp"], FILES["animated gif"], FILES["half transparent png"], large]
    together, _ = decode_images(files * 3, SIZE, MAX_PIXELS)
    for data, pixels in zip(files * 3, together, strict=True):
        np.testing.assert_array_equal(served(tf.constant(data)).numpy(), pixels)
    np.testing.assert_array_equal(decode_image(tf.constant(large), SIZE, MAX_PIXELS).numpy(), together[4])
    for data, _ in REFUSED.values():
        with pytest.raises(tf.errors.InvalidArgumentError):
            served(tf.constant(data))


def test_a_refused_size_is_never_decoded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, reasons = decode_images([REFUSED["30,000 x 30,000 png"][0]] * 4, SIZE, MAX_PIXELS)
    assert all("too large" in reason for reason in reasons)
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    )  # its pixels would take 2.7 GB


@given(
    name=st.sampled_from(sorted(FILES)),
    cut=st.floats(0, 1),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_never_crash_and_header_and_decoder_agree(name, cut, edits):
    data = bytearray(FILES[name])
    if cut < 0.5:
        data = data[: int(len(data) * cut * 2)]
    for place, value in edits:
        if place < len(data):
            data[place] = value
    try:
        read_header(BytesIO(bytes(data)), MAX_PIXELS)
        sound = True
    except ImageError:
        sound = False
    _, reason = decode_one(bytes(data))
    assert sound or reason  # what the header refuses, the decoder refuses too
