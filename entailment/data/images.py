"""What an image file is, and how it becomes pixels: the one decoder of records and of serving alike.

JPEG, PNG, GIF (first frame) and BMP, told apart by content. WebP is refused: TensorFlow 2.21 ends the whole
process with a double free on a truncated one. Alpha is laid over white, as a reader sees it on a page:
colours hidden under full transparency must not matter.
"""

import os
import struct
from collections.abc import Sequence
from functools import cache, partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from ..errors import ImageError  # relative: a package holds this file under another name

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

KINDS: Final = ("JPEG", "PNG", "GIF", "BMP")
_SIGNATURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")
_OTHER_SIGNATURES: Final = (
    (0, b"<", "text, perhaps a web page"),
    (0, b"{", "text, perhaps a server's JSON answer"),
    (0, b"%PDF", "a PDF file"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyphei", "an HEIC image"),
)
_BMP_MASKS: Final = b"\x00\x00\xff\x00\x00\xff\x00\x00\xff\x00\x00\x00"
_HEAD_BYTES: Final = 66
_LARGEST_SIDE: Final = 2**31 - 1
MISSING: Final = "missing"
"""The reason that `decode_images` gives for empty bytes."""


class ImageHeader(NamedTuple):
    """What the first bytes of an image say: its kind (one of KINDS), width and height in pixels as stored."""

    kind: str
    width: int
    height: int


# ---- the header, read in Python: cheap, and the words for what is wrong


def read_header(stream: BinaryIO, max_pixels: int) -> ImageHeader:
    """Reads kind and size from the start of an image, decoding nothing; `stream` must be seekable.

    Raises ImageError with a plain reason: no image that can be decoded, cut short, over `max_pixels` pixels.
    """
    head = stream.read(_HEAD_BYTES)
    kinds = zip(KINDS, _SIGNATURES, strict=True)
    kind = next((kind for kind, signature in kinds if head.startswith(signature)), None)
    if kind is None:
        raise ImageError(_not_an_image(head))
    size_of = {"JPEG": _jpeg_size, "PNG": _png_size, "GIF": _gif_size, "BMP": _bmp_size}[kind]
    try:
        width, height = size_of(stream, head)
    except (struct.error, IndexError):
        raise ImageError(f"cut short or damaged: the {kind} header is not whole") from None
    if width < 1 or height < 1:
        raise ImageError(f"damaged: its {kind} header says {width} x {height} pixels")
    if width * height > max_pixels:
        raise ImageError(f"too large: {width} x {height} pixels, at most {max_pixels} in all are read")
    return ImageHeader(kind, width, height)


def _not_an_image(head: bytes) -> str:
    if not head:
        return "empty file"
    for offset, signature, name in _OTHER_SIGNATURES:
        if head.lstrip()[offset:].startswith(signature):
            return f"{name}, not a JPEG, PNG, GIF or BMP image"
    return "not a JPEG, PNG, GIF or BMP image"


def _jpeg_size(stream: BinaryIO, head: bytes) -> tuple[int, int]:
    stream.seek(2)
    while True:
        while stream.read(1)[0] != 0xFF:  # as libjpeg does, skip what is no marker
            pass
        marker = 0xFF
        while marker == 0xFF:
            marker = stream.read(1)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", stream.read(7)[3:])
            return width, height
        if marker in (0xD9, 0xDA):
            raise struct.error("no frame header")
        if marker not in (0x00, 0x01) and not 0xD0 <= marker <= 0xD8:
            stream.seek(max(0, struct.unpack(">H", stream.read(2))[0] - 2), os.SEEK_CUR)


def _png_size(stream: BinaryIO, head: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _gif_size(stream: BinaryIO, head: bytes) -> tuple[int, int]:
    """Size of the first frame: an animation's later frames and its canvas are never decoded."""
    stream.seek(13 + _colour_table_bytes(head[10]))
    while (block := stream.read(1)[0]) == 0x21:
        stream.seek(1, os.SEEK_CUR)
        while length := stream.read(1)[0]:
            stream.seek(length, os.SEEK_CUR)
    if block != 0x2C:
        raise struct.error("no frame")
    width, height = struct.unpack("<HH", stream.read(8)[4:])
    return width, height


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _bmp_size(stream: BinaryIO, head: bytes) -> tuple[int, int]:
    header_bytes, width, height, _, bits, compression = struct.unpack("<IiiHHI", head[14:34])
    plain = compression == 0 and bits in (8, 24, 32)
    if header_bytes < 40 or not (plain or (compression == 3 and bits == 32 and head[54:66] == _BMP_MASKS)):
        raise ImageError(
            f"a BMP with {bits} bits a pixel, compression {compression}: only plain 8, 24 and 32 are read"
        )
    return width, abs(height)


# ---- the pixels, in TensorFlow operations


def decode_image(data: "tf.Tensor", size: int, max_pixels: int) -> "tf.Tensor":
    """One image file's bytes (string scalar) as uint8 [size, size, 3]: RGB, upright, aspect not kept.

    Bilinear with antialiasing, rounded to the nearest level. EXIF orientation of JPEGs is applied; 16-bit
    samples keep their high byte; a large JPEG is loaded at a half, quarter or eighth (by its size alone) as
    long as twice `size` remains: 1.6 to 2.3 x faster on photographs, 0.2 levels off on average. Runs on the
    CPU, in `tf.data`, in SavedModels, and slowly in eager code. Fails with InvalidArgumentError on what
    `read_header` refuses and on damaged data.
    """
    import tensorflow as tf

    with tf.device("/CPU:0"):
        kind, width, height, data = _checked_header(data, max_pixels)
        branches = [_decode_jpeg, _decode_png, _decode_gif, _decode_bmp]
        halvings = _halvings(tf.minimum(width, height), size)
        rgb, orientation = tf.switch_case(kind, [partial(decode, data, halvings) for decode in branches])
        rgb = tf.ensure_shape(rgb, [None, None, 3])
        square = tf.image.resize(rgb, (size, size), method="bilinear", antialias=True)
        square = tf.cast(tf.clip_by_value(tf.round(square), 0.0, 255.0), tf.uint8)
        return tf.ensure_shape(_upright(square, orientation), [size, size, 3])


def _checked_header(data: Any, max_pixels: int) -> tuple[Any, Any, Any, Any]:
    """Kind, width, height (int64), and the bytes to decode, which exist only if the header was accepted."""
    import tensorflow as tf

    starts = [tf.strings.substr(data, 0, len(signature)) == signature for signature in _SIGNATURES]
    kind = tf.argmax(tf.cast(tf.stack(starts), tf.int32), output_type=tf.int32)
    known = tf.debugging.Assert(tf.reduce_any(starts), ["not a JPEG, PNG, GIF or BMP image"])
    with tf.control_dependencies([known] if known is not None else []):
        data = tf.identity(data)
        head = tf.cast(tf.io.decode_raw(data, tf.uint8, fixed_length=_HEAD_BYTES), tf.int64)
        headers = [_jpeg_header, _png_header, _gif_header, _bmp_header]
        width, height, data = tf.switch_case(kind, [partial(header, data, head) for header in headers])
    fits = (width >= 1) & (height >= 1) & (width * height <= max_pixels)
    sized = tf.debugging.Assert(fits, [f"unreadable, or over {max_pixels} pixels:", width, height])
    with tf.control_dependencies([sized] if sized is not None else []):
        return kind, width, height, tf.identity(data)


def _number(octets: Any, order: str = "<") -> Any:
    """Unsigned int64 of the bytes on the last axis, little (<) or big (>) endian, at most _LARGEST_SIDE."""
    import tensorflow as tf

    shifts = tf.range(tf.shape(octets, tf.int64)[-1]) * 8
    shifts = shifts if order == "<" else shifts[::-1]
    value = tf.reduce_sum(tf.bitwise.left_shift(tf.cast(octets, tf.int64), shifts), -1)
    return tf.minimum(value, _LARGEST_SIDE)


def _jpeg_header(data: Any, head: Any) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    shape = tf.image.extract_jpeg_shape(data, output_type=tf.int64)
    return shape[1], shape[0], data


def _png_header(data: Any, head: Any) -> tuple[Any, Any, Any]:
    return _number(head[16:20], ">"), _number(head[20:24], ">"), data


def _bmp_header(data: Any, head: Any) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    bits, compression = _number(head[28:30]), _number(head[30:34])
    masks = tf.reduce_all(head[54:66] == list(_BMP_MASKS))
    plain = (compression == 0) & ((bits == 8) | (bits == 24) | (bits == 32))
    readable = (_number(head[14:18]) >= 40) & (plain | ((compression == 3) & (bits == 32) & masks))
    height = tf.abs(tf.cast(tf.bitcast(tf.cast(head[22:26], tf.uint8), tf.int32), tf.int64))
    return tf.where(readable, _number(head[18:22]), 0), height, data


def _gif_header(data: Any, head: Any) -> tuple[Any, Any, Any]:
    """Walks to the end of the first frame and cuts the rest off: TensorFlow would unpack every frame."""
    import tensorflow as tf

    octets = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)
    octets = tf.concat([octets, tf.zeros([16], tf.int32)], 0)  # zeros past the end stop the walk
    last = tf.size(octets) - 16

    def table(flags: Any) -> Any:
        return tf.where(flags >= 0x80, tf.bitwise.left_shift(3, (flags & 7) + 1), 0)

    def step(at: Any, frame: Any, inside: Any, going: Any) -> tuple[Any, Any, Any, Any]:
        value = octets[at]
        extension, image = ~inside & (value == 0x21), ~inside & (value == 0x2C)
        past_image = 11 + table(octets[tf.minimum(at + 9, last)])
        move = tf.where(inside, 1 + value, tf.where(extension, 2, tf.where(image, past_image, 0)))
        ends = inside & (value == 0)
        going = tf.where(ends, frame < 0, inside | extension | image)
        return tf.minimum(at + move, last), tf.where(image, at, frame), ~ends, going

    start = tf.minimum(13 + table(octets[10]), last)
    state = (start, tf.constant(-1), tf.constant(False), tf.constant(True))
    end, frame, _, _ = tf.while_loop(lambda at, frame, inside, going: going, step, state)
    sides = _number(tf.reshape(octets[tf.maximum(frame, 0) :][5:9], [2, 2]))
    width, height = tf.unstack(tf.where(frame < 0, tf.zeros_like(sides), sides))
    return width, height, tf.strings.substr(data, 0, end) + b";"


def _halvings(shorter_side: Any, size: int) -> Any:
    """How often (0 to 3) a JPEG is halved while it is loaded."""
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(shorter_side // [2, 4, 8] >= 2 * size, tf.int32))


def _decode_jpeg(data: Any, halvings: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    load = partial(tf.io.decode_jpeg, data, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.switch_case(
        halvings, [partial(load, ratio=ratio) for ratio in (1, 2, 4, 8)]
    ), _exif_orientation(data)


def _decode_png(data: Any, halvings: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    head = tf.cast(tf.io.decode_raw(data, tf.uint8, fixed_length=_HEAD_BYTES), tf.int32)
    depth, colour_type = head[24], head[25]

    def over_white() -> Any:
        rgba = tf.io.decode_png(data, channels=4)
        rgb, alpha = rgba[..., :3], rgba[..., 3:]
        return tf.cond(tf.reduce_min(alpha) == 255, lambda: rgb, lambda: blended(rgb, alpha))

    def blended(rgb: Any, alpha: Any) -> Any:
        weight = tf.cast(alpha, tf.int32)
        return tf.cast((tf.cast(rgb, tf.int32) * weight + 255 * (255 - weight) + 127) // 255, tf.uint8)

    # Asked for alpha, TensorFlow makes opaque grey of 1, 2 or 4 bits all but transparent (alpha 1, 3 or 15).
    few_greys = (colour_type == 0) & (depth < 8)
    return tf.cond(few_greys, lambda: tf.io.decode_png(data, channels=3), over_white), tf.constant(1)


def _decode_gif(data: Any, halvings: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    return tf.io.decode_gif(data)[0], tf.constant(1)


def _decode_bmp(data: Any, halvings: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    head = tf.io.decode_raw(data, tf.uint8, fixed_length=_HEAD_BYTES)
    bits = tf.cast(head[28], tf.int32)

    def with_palette() -> Any:
        # TensorFlow takes 8-bit pixels for grey levels; they are places in a table of (blue, green, red, 0).
        start = 14 + tf.cast(_number(head[14:18]), tf.int32)
        octets = tf.concat([tf.io.decode_raw(data, tf.uint8), tf.zeros([1024], tf.uint8)], 0)
        table = tf.reshape(octets[tf.minimum(start, tf.size(octets) - 1024) :][:1024], [256, 4])[:, 2::-1]
        return tf.gather(table, tf.cast(tf.io.decode_bmp(data, channels=0)[..., 0], tf.int32))

    depth = tf.where(bits == 8, 0, tf.where(bits == 24, 1, 2))
    load = partial(tf.io.decode_bmp, data)
    opaque = [lambda: load(channels=3), lambda: load(channels=4)[..., :3]]  # a fourth byte is seldom alpha
    return tf.switch_case(depth, [with_palette, *opaque]), tf.constant(1)


def _exif_orientation(data: Any) -> Any:
    """EXIF orientation (1 to 8, int32) of a JPEG, 1 where there is none or it makes no sense."""
    import tensorflow as tf

    octets = tf.concat([tf.io.decode_raw(data, tf.uint8), tf.zeros([16], tf.uint8)], 0)
    last = tf.size(octets) - 16
    label = tf.constant(list(b"Exif\0\0"), tf.uint8)

    def step(at: Any, begin: Any, end: Any, going: Any) -> tuple[Any, Any, Any, Any]:
        window = octets[at : at + 10]
        marker = window[1]
        after = tf.minimum(at + 2 + tf.cast(_number(window[2:4], ">"), tf.int32), last)
        found = (marker == 0xE1) & tf.reduce_all(window[4:] == label)
        going = (window[0] == 0xFF) & (marker != 0xDA) & (marker != 0xD9) & ~found
        return after, tf.where(found, at + 10, begin), tf.where(found, after, end), going

    state = (tf.constant(2), tf.constant(0), tf.constant(0), tf.constant(True))
    _, begin, end, _ = tf.while_loop(lambda at, begin, end, going: going, step, state)
    return tf.cond(end > begin, lambda: _tiff_orientation(octets[begin:end]), lambda: tf.constant(1))


def _tiff_orientation(block: Any) -> Any:
    """The orientation tag (0x0112, of type SHORT) in the first directory of an EXIF block, uint8 [n]."""
    import tensorflow as tf

    block = tf.concat([block, tf.zeros([16], tf.uint8)], 0)
    big = block[0] == 0x4D
    size = tf.size(block)

    def number(octets: Any) -> Any:
        return tf.cast(tf.where(big, _number(octets, ">"), _number(octets)), tf.int32)

    directory = tf.minimum(number(block[4:8]), size - 2)
    count = number(block[directory : directory + 2])
    entries = block[directory + 2 :][: 12 * count]
    entries = tf.reshape(entries[: tf.size(entries) // 12 * 12], [-1, 12])
    wanted = (number(entries[:, 0:2]) == 0x0112) & (number(entries[:, 2:4]) == 3)
    value = tf.reduce_max(tf.where(wanted, number(entries[:, 8:10]), 0))
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _upright(square: Any, orientation: Any) -> Any:
    """Turns and mirrors a square picture as its EXIF orientation says (TIFF 6.0, tag 274)."""
    import tensorflow as tf

    def among(*values: int) -> Any:
        return tf.reduce_any(orientation == list(values))

    square = tf.cond(among(5, 6, 7, 8), lambda: tf.transpose(square, [1, 0, 2]), lambda: square)
    square = tf.cond(among(2, 3, 6, 7), lambda: tf.reverse(square, [1]), lambda: square)
    return tf.cond(among(3, 4, 7, 8), lambda: tf.reverse(square, [0]), lambda: square)


def decode_images(
    data: Sequence[bytes | None], size: int, max_pixels: int
) -> tuple["np.ndarray[Any, Any]", list[str]]:
    """Many image files' bytes as uint8 [n, size, size, 3], and a reason for each: "" where it was decoded.

    Bit for bit what `decode_image` gives, in parallel. What cannot be decoded is black with a plain reason;
    empty bytes and None are black with the reason "missing". Never raises on bad image data.
    """
    import numpy as np

    pixels = np.zeros((len(data), size, size, 3), np.uint8)
    present = {row: item for row, item in enumerate(data) if item}
    rows = np.array(list(present), np.int64)
    places, decoded = _batch_decoder(size, max_pixels)(np.array(list(present.values()), object))
    done = rows[places.numpy()[:-1]]
    pixels[done] = decoded.numpy()[:-1]
    reasons = [MISSING] * len(data)
    for row in done:
        reasons[row] = ""
    for row in set(present) - set(done.tolist()):
        reasons[row] = _why_undecodable(present[row], max_pixels)
    return pixels, reasons


@cache
def _batch_decoder(size: int, max_pixels: int) -> Any:
    """Traced once: strings [n] -> places [k+1], pixels [k+1, size, size, 3] of the decoded, then a blank."""
    import tensorflow as tf

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def decode(data: Any) -> Any:
        places = tf.range(tf.size(data))
        images = tf.data.Dataset.from_tensor_slices((places, data)).map(
            lambda place, item: (place, decode_image(item, size, max_pixels)),
            num_parallel_calls=cores,
            deterministic=True,
        )
        blank = tf.data.Dataset.from_tensors((tf.constant(-1), tf.zeros([size, size, 3], tf.uint8)))
        decoded = images.ignore_errors().concatenate(blank)
        return decoded.batch(tf.size(data, tf.int64) + 1).get_single_element()

    return tf.function(decode, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def _why_undecodable(data: bytes, max_pixels: int) -> str:
    try:
        kind = read_header(BytesIO(data), max_pixels).kind
    except ImageError as fault:
        return str(fault)
    return f"damaged or cut short: its {kind} data cannot be decoded"
