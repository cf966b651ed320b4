"""What an image file is, and how it becomes pixels: the one decoder of records and of serving alike.

Pillow decodes, told what a file is by its content, and TensorFlow makes the picture small. Alpha is laid over
white, as a reader sees it on a page: colours hidden under full transparency must not matter.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from ..errors import ImageError  # relative: a package holds this file under another name

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from PIL.ImageFile import ImageFile

KINDS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
"""Pillow's names of the formats that are read."""
_NO_IMAGE: Final = "not a JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF image"
_OTHER_SIGNATURES: Final = (
    (0, b"<svg", "an SVG drawing"),
    (0, b"<", "text, perhaps a web page"),
    (0, b"{", "text, perhaps a server's JSON answer"),
    (0, b"%PDF", "a PDF file"),
    (4, b"ftyphei", "an HEIC image"),
)
_HEAD_BYTES: Final = 64
_UNREAD_FORMS: Final = ("unknown pixel mode", "cannot handle", "Unsupported BMP")
"""How Pillow begins to say that it knows a format, but not that many samples or bits of it."""
_UNREAD_MODES: Final = {"I": "32-bit integers", "F": "floating-point numbers", "LAB": "CIELAB colours"}
_BYTES_A_PIXEL: Final = {"WEBP": 18, "AVIF": 18}
"""What is held for a pixel while an image of these kinds is decoded, laid over white and resized, as measured."""
_OTHERS_BYTES_A_PIXEL: Final = 10
_COVERED: Final = "covered"
"""What `_note_form` calls the part of a picture that its first frame covers, None for all of it."""
_GREYS: Final = "greys"
"""And of 16-bit grey: by how much a sample is shifted to be 8 bits, and whether 0 is white."""
_PHOTOMETRIC: Final = 262
"""The tag of a TIFF that is 0 where 0 is white. Like the next two in TIFF 6.0, section 8."""
_BITS: Final = 258
_PLANAR: Final = 284
_BY_CHANNEL: Final = 2
_ALIGNMENT: Final = 64
_STRIP: Final = 2**20
"""Pixels that are laid over white at once."""
_COEFFICIENT_BYTES: Final = 2
"""What a progressive JPEG holds beside that for each pixel of its full size and each channel."""
_UPRIGHT: Final = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What puts a picture upright, by its EXIF orientation (TIFF 6.0, tag 274)."""
_ORIENTATION: Final = 274
_UNREAD_FORM: Final = "a {} of a form that is not read: save it with 8 bits a sample, as grey or RGB"
_DAMAGED: Final = "damaged or cut short: its {} data cannot be decoded"
_CHECKED_SIZE: Final = 8
"""What an image is decoded for where only its faults are asked for: a JPEG at an eighth."""
_GROUP: Final = 16
"""Images that a thread takes at once, at most."""
MISSING: Final = "missing"
"""The reason that `decode_images` gives for empty bytes."""


class ImageHeader(NamedTuple):
    """What the first bytes of an image say: its kind (one of KINDS), width and height in pixels."""

    kind: str
    width: int
    height: int


def read_header(stream: BinaryIO, max_pixels: int, max_decoded_bytes: int) -> ImageHeader:
    """Reads kind and size from the start of an image, decoding nothing; `stream` must be seekable.

    Raises ImageError with a plain reason: no image that can be decoded, cut short, over `max_pixels` pixels, or one
    that would hold more than `max_decoded_bytes` while it is decoded.
    """
    kind, image = _opened(stream, max_pixels)
    if kind != "JPEG":  # which may be loaded smaller
        _bytes_held(kind, image, image.size, max_decoded_bytes)
    return ImageHeader(kind, *image.size)


def checksums_fit(stream: BinaryIO, max_pixels: int) -> bool:
    """Whether a PNG is there up to its last chunk, and every checksum is right."""
    _, image = _opened(stream, max_pixels)
    try:
        image.verify()
    except Exception:
        return False
    return True


def decode_images(
    data: Sequence[bytes | None], size: int, max_pixels: int, max_decoded_bytes: int
) -> tuple["np.ndarray[Any, Any]", list[str]]:
    """Many image files' bytes as uint8 [n, size, size, 3], and a reason for each: "" where it was decoded.

    RGB, upright (EXIF), the first frame of several, aspect not kept: bilinear with antialiasing, rounded to the
    nearest level. 16-bit samples keep their high byte. A large JPEG is loaded at a half, quarter or eighth as
    long as twice `size` remains. On all cores; what this process decodes at once holds less than
    `max_decoded_bytes`, and an image that would hold more is not decoded. What cannot be decoded is black with a
    plain reason; empty bytes and None are black with the reason "missing". Never raises on bad image data.
    """
    import numpy as np

    pixels, reasons = np.zeros((len(data), size, size, 3), np.uint8), [MISSING] * len(data)
    rows, cores = [row for row, item in enumerate(data) if item], core_count()
    _resizer(size)  # traced by one thread

    def ready(group: Sequence[int]) -> Iterator[_Ready]:
        for row in group:
            try:
                yield _ready(row, data[row] or b"", size, max_pixels, max_decoded_bytes)
            except ImageError as fault:
                reasons[row] = str(fault)

    def decode(group: Sequence[int]) -> None:
        for batch in _batches(ready(group), max_decoded_bytes // cores):
            with _room_for(sum(image.needed for image in batch), max_decoded_bytes):
                for row, answer in _decoded(batch, size).items():
                    if isinstance(answer, str):
                        reasons[row] = answer
                    else:
                        pixels[row], reasons[row] = answer, ""

    at_once = max(1, min(_GROUP, len(rows) // cores))
    with ThreadPoolExecutor(cores) as pool:
        for _ in pool.map(decode, [rows[at : at + at_once] for at in range(0, len(rows), at_once)]):
            pass
    return pixels, reasons


def thumbnail(
    data: bytes, size: int, max_pixels: int, max_decoded_bytes: int
) -> "np.ndarray[Any, Any] | None":
    """An image file's bytes to be looked at: uint8 RGB [height, width, 3], upright, neither side above `size`.

    None where it cannot be decoded.
    """
    import numpy as np

    try:
        _, _, image, needed = _ready(0, data, size, max_pixels, max_decoded_bytes)
    except ImageError:
        return None
    with _room_for(needed, max_decoded_bytes):
        try:
            image.load()
            levels = np.empty((image.height, image.width, 3), np.uint8)
            _write_levels(image, levels)
        except Exception:  # each decoder has its own
            return None
        small = _pillow().fromarray(_turned(levels, _UPRIGHT.get(_orientation(image))))
        small.thumbnail((size, size))
        return np.asarray(small)


def decoding_faults(data: Sequence[bytes], max_pixels: int, max_decoded_bytes: int) -> list[str]:
    """The reasons that `decode_images` gives. Nothing is resized, so TensorFlow is not imported."""

    def fault(item: bytes) -> str:
        if not item:
            return MISSING
        try:
            _, kind, image, needed = _ready(0, item, _CHECKED_SIZE, max_pixels, max_decoded_bytes)
        except ImageError as refused:
            return str(refused)
        with _room_for(needed, max_decoded_bytes):
            try:
                image.load()
                _over_white(image.crop((0, 0, image.width, 1)))  # a mode that cannot be is one in any row
            except Exception:  # each decoder has its own
                return _DAMAGED.format(kind)
        return ""

    with ThreadPoolExecutor(core_count()) as pool:
        return list(pool.map(fault, data))


@cache
def _pillow() -> ModuleType:
    """Pillow with its plugins, without its own limit of pixels and its warnings: our limit and our reasons hold."""
    from PIL import Image

    Image.init()
    Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return Image


def _opened(stream: BinaryIO, max_pixels: int) -> tuple[str, "ImageFile"]:
    """Kind and image, of which nothing is decoded yet. Raises ImageError as `read_header`."""
    plugins = _pillow().OPEN
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    kind = next((kind for kind in KINDS if plugins[kind][1](head) is True), None)
    if kind is None:
        raise ImageError(_not_an_image(head))
    stream.seek(0)
    try:
        image: ImageFile = plugins[kind][0](stream, "")
    except Exception as error:  # each plugin has its own
        if str(error).startswith(_UNREAD_FORMS):
            raise ImageError(_UNREAD_FORM.format(kind)) from None
        raise ImageError(f"cut short or damaged: its {kind} header cannot be read") from None
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"too large: {width} x {height} pixels, at most {max_pixels} in all are read")
    if image.mode in _UNREAD_MODES:
        raise ImageError(f"a {kind} of {_UNREAD_MODES[image.mode]}: 8 or 16 bits a sample are read")
    if kind == "TIFF" and _is_misread(image):
        raise ImageError(_UNREAD_FORM.format(kind))
    return kind, image


def _is_misread(tiff: "ImageFile") -> bool:
    """Whether Pillow takes 16-bit samples for 8-bit ones: where they are not packed, and lie channel by channel."""
    if _tiff_tag(tiff, _PLANAR) != _BY_CHANNEL or not tiff.tile or tiff.tile[0].codec_name != "raw":
        return False
    return max(_tiff_tag(tiff, _BITS) or (1,)) > 8


def _tiff_tag(image: "ImageFile", tag: int) -> Any:
    """What a TIFF says, None where it does not or the image is none."""
    return getattr(image, "tag_v2", {}).get(tag)


def _not_an_image(head: bytes) -> str:
    if not head:
        return "empty file"
    for offset, signature, name in _OTHER_SIGNATURES:
        if head.lstrip()[offset:].startswith(signature):
            return f"{name}, {_NO_IMAGE}"
    return _NO_IMAGE


class _Ready(NamedTuple):
    """An image whose header was read, and what decoding it will hold."""

    row: int
    kind: str
    image: "ImageFile"
    needed: int


def _ready(row: int, data: bytes, size: int, max_pixels: int, max_decoded_bytes: int) -> _Ready:
    """Raises ImageError with a plain reason."""
    kind, image = _opened(BytesIO(data), max_pixels)
    if kind == "PNG" and not checksums_fit(BytesIO(data), max_pixels):
        raise ImageError(_DAMAGED.format(kind))  # Pillow would decode it, to whatever pixels
    _scale_hidden_colour(image)
    _note_form(kind, image, data)
    stored = image.size
    image.draft(None, (2 * size, 2 * size))
    return _Ready(row, kind, image, _bytes_held(kind, image, stored, max_decoded_bytes))


def _bytes_held(kind: str, image: "ImageFile", stored: tuple[int, int], most: int) -> int:
    """What decoding an image holds whose file has the size `stored`. Raises ImageError where it is over `most`."""
    width, height = stored
    channels = len(image.getbands()) if kind == "JPEG" and "progressive" in image.info else 0
    coefficients = width * height * channels * _COEFFICIENT_BYTES
    held = image.width * image.height * _BYTES_A_PIXEL.get(kind, _OTHERS_BYTES_A_PIXEL) + coefficients
    if held > most:
        raise ImageError(
            f"too large: a {kind} of {width} x {height} pixels holds {held} bytes while it is decoded, at most {most}"
            " may be held (images.max_decoded_bytes)"
        )
    return held


def _note_form(kind: str, image: "ImageFile", data: bytes) -> None:
    """Notes what Pillow passes over, for `_write_levels`."""
    tile = image.tile[0] if image.tile else None
    covered = tile.extents if tile and kind == "GIF" else None
    if kind == "WEBP":
        covered = _first_webp_frame(data)
    bits = _tiff_tag(image, _BITS)
    image.info |= {
        _COVERED: covered,
        _GREYS: (4 if bits == (12,) else 8, _tiff_tag(image, _PHOTOMETRIC) == 0),
    }


def _first_webp_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of an animation's first frame, as its chunk ANMF has them; None without one.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    at = 12
    while at + 20 <= len(data):
        if data[at : at + 4] == b"ANMF":
            left, top, width, height = (
                int.from_bytes(data[at + 8 + 3 * place : at + 11 + 3 * place], "little") for place in range(4)
            )
            return 2 * left, 2 * top, 2 * left + width + 1, 2 * top + height + 1
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return None


def _scale_hidden_colour(image: "ImageFile") -> None:
    """The one transparent colour of a PNG is told in the file's own bits, its pixels are loaded as 8."""
    hidden, stored = image.info.get("transparency"), image.tile[0].args if image.tile else None
    if stored in ("L;2", "L;4") and hidden is not None:
        image.info["transparency"] = hidden * (85 if stored == "L;2" else 17)
    if stored == "RGB;16B" and hidden is not None:
        image.info["transparency"] = tuple(sample >> 8 for sample in hidden)


def _batches(images: Iterable[_Ready], most: int) -> Iterator[list[_Ready]]:
    """The images in order, as many together as hold at most `most` bytes, or one."""
    batch: list[_Ready] = []
    for image in images:
        if batch and sum(other.needed for other in batch) + image.needed > most:
            yield batch
            batch = []
        batch.append(image)
        del image  # the batch alone holds it, and is emptied
    if batch:
        yield batch


def _decoded(batch: list[_Ready], size: int) -> "dict[int, np.ndarray[Any, Any] | str]":
    """By row uint8 [size, size, 3], or why there is none. Empties `batch`: only levels are held in the end."""
    answers: dict[int, np.ndarray[Any, Any] | str] = {}
    levels = _aligned(3 * sum(ready.image.width * ready.image.height for ready in batch))
    shapes, turns, end = [], {}, 0
    while batch:
        row, kind, image, _ = batch.pop()
        try:
            image.load()
            width, height = image.size
            after = end + 3 * width * height
            _write_levels(image, levels[end:after].reshape(height, width, 3))
            turns[row] = _UPRIGHT.get(_orientation(image))
            shapes.append((height, width))
            end = after
        except Exception:  # each decoder has its own
            answers[row] = _DAMAGED.format(kind)
        del image
    if shapes:
        for (row, turn), square in zip(turns.items(), _resizer(size)(levels[:end], shapes), strict=True):
            answers[row] = _turned(square, turn)
    return answers


def _turned(square: "np.ndarray[Any, Any]", transposition: str | None) -> "np.ndarray[Any, Any]":
    import numpy as np

    if transposition is None:
        return square
    pillow = _pillow()
    return np.asarray(pillow.fromarray(square).transpose(pillow.Transpose[transposition]))


def _write_levels(image: "Image.Image", levels: "np.ndarray[Any, Any]") -> None:
    """A loaded image of any mode into uint8 [height, width, 3]: RGB over white, by strips: copies are small."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
        levels[top : top + rows] = _over_white(strip)
    if image.info[_COVERED]:
        left, top, right, bottom = image.info[_COVERED]
        levels[:top] = levels[bottom:] = 255
        levels[:, :left] = levels[:, right:] = 255


def _aligned(size: int) -> "np.ndarray[Any, Any]":
    """uint8 [size], not yet set, that begins where TensorFlow can read it in place."""
    import numpy as np

    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size]


def _over_white(image: "Image.Image") -> "np.ndarray[Any, Any]":
    """uint8 [height, width, 3], or [height, width, 1] of a grey one."""
    import numpy as np

    hidden = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        samples, (shift, inverted) = np.asarray(image), image.info[_GREYS]
        grey: np.ndarray[Any, Any] = (samples >> shift).astype(np.uint8)
        grey = ~grey if inverted else grey
        if hidden is not None:
            grey[samples == hidden] = 255
        return grey[..., None]
    if not image.has_transparency_data:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if image.mode == "La":  # premultiplied, of a TIFF
        image = image.convert("LA")
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    white = _pillow().new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return np.asarray(white)


def _orientation(image: "Image.Image") -> Any:
    """EXIF orientation, 1 where there is none or it cannot be read."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1


@cache
def _resizer(
    size: int,
) -> Callable[["np.ndarray[Any, Any]", Sequence[tuple[int, int]]], "np.ndarray[Any, Any]"]:
    """Traced once: levels uint8 [total] of n images one after another (`_aligned`), their heights and widths ->
    uint8 [n, size, size, 3].

    Several images in one call: handing each over by itself takes as long as resizing it.
    """
    import tensorflow as tf

    def resized(levels: Any, shapes: Any) -> Any:
        def one(places: Any) -> Any:
            end, shape = places
            image = tf.reshape(levels[end - 3 * tf.reduce_prod(shape) : end], [shape[0], shape[1], 3])
            square = tf.image.resize(image, (size, size), method="bilinear", antialias=True)
            return tf.cast(tf.clip_by_value(tf.round(square), 0.0, 255.0), tf.uint8)

        with tf.device("/CPU:0"):
            ends = tf.cumsum(3 * tf.reduce_prod(shapes, axis=1))
            return tf.map_fn(one, (ends, shapes), fn_output_signature=tf.uint8, parallel_iterations=1)

    signature = [tf.TensorSpec([None], tf.uint8), tf.TensorSpec([None, 2], tf.int64)]
    traced = tf.function(resized, input_signature=signature, autograph=False).get_concrete_function()

    def resize(levels: "np.ndarray[Any, Any]", shapes: Sequence[tuple[int, int]]) -> "np.ndarray[Any, Any]":
        # TensorFlow reads our memory: a copy of its own would take as much again, and is kept when it is done.
        shared = tf.experimental.dlpack.from_dlpack(levels.__dlpack__())
        squares: np.ndarray[Any, Any] = traced(shared, tf.constant(shapes, tf.int64)).numpy()
        return squares

    return resize


# ---- how much is decoded at once

_TURN: Final = threading.Lock()
_ENDED: Final = threading.Condition()
_held = 0


@contextmanager
def _room_for(needed: int, limit: int) -> Iterator[None]:
    """Waits until `needed` bytes more stay below `limit`, or nothing else is held; first come, first served."""
    global _held
    with _TURN, _ENDED:
        _ENDED.wait_for(lambda: _held == 0 or _held + needed <= limit)
        _held += needed
    try:
        yield
    finally:
        with _ENDED:
            _held -= needed
            _ENDED.notify_all()


def core_count() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
