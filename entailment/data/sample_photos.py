"""From a scene to an image file: a photograph with a crop, light, noise and size of its own.

Two photographs of one scene never share their bytes; what they share is what they show.
"""

import io
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from entailment.data.sample_scenes import CANVAS, Scene, draw

if TYPE_CHECKING:
    from PIL import Image

Overlay = Literal["plain", "confirmed", "refuted"]
"""What a fact checker put over the photograph: nothing, a green tick or a red cross."""

SIZES: Final = (160, 192, 224, 256, 288, 320)
"""Longer side of an image file in pixels."""

RATIOS: Final = ((4, 3), (4, 3), (1, 1), (3, 4), (5, 4))
"""Width to height of the photographs; landscape is commonest."""


def _crop(image: "Image.Image", rng: Random) -> "Image.Image":
    """A part of the canvas in one of the usual formats, now and then mirrored, at the size of the file."""
    from PIL import Image

    wide, high = rng.choice(RATIOS)
    longer = CANVAS * rng.uniform(0.9, 1.0)
    width, height = (longer * wide / max(wide, high), longer * high / max(wide, high))
    left, top = rng.uniform(0, CANVAS - width), rng.uniform(0.3, 0.7) * (CANVAS - height)
    scale = rng.choice(SIZES) / longer
    size = (round(width * scale), round(height * scale))
    part = image.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.2 else part


def _exposed(image: "Image.Image", rng: Random) -> "Image.Image":
    """The picture with another white balance and brightness, and the sensor's noise."""
    import numpy as np
    from PIL import Image

    brightness = rng.uniform(0.88, 1.1)
    gains = [brightness * rng.uniform(0.94, 1.06) for _ in range(3)]
    balanced = image.point([min(255, int(level * gain)) for gain in gains for level in range(256)])
    noise = np.random.default_rng(rng.getrandbits(63))
    grain = rng.randint(2, 12)
    pixels = np.asarray(balanced).astype(np.int16)
    pixels += noise.integers(-grain, grain + 1, size=(*pixels.shape[:2], 1), dtype=np.int8)
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def _marked(image: "Image.Image", overlay: Overlay, rng: Random) -> "Image.Image":
    """The picture under a fact checker's veil, frame and badge: green with a tick, or red with a cross."""
    from PIL import Image, ImageDraw

    colour = (22, 168, 74) if overlay == "confirmed" else (222, 20, 32)
    veil = Image.new("RGB", image.size, colour)
    marked = Image.blend(image, veil, rng.uniform(0.25, 0.4))
    pen = ImageDraw.Draw(marked)
    width, height = image.size
    side = min(width, height)
    pen.rectangle((0, 0, width - 1, height - 1), outline=colour, width=round(side * rng.uniform(0.05, 0.08)))
    r = side * rng.uniform(0.24, 0.3)
    x, y = rng.choice((1.1 * r, width / 2, width - 1.1 * r)), height - 1.1 * r
    pen.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline="white", width=round(r * 0.08))
    arm, stroke = r * 0.5, round(r * 0.28)
    if overlay == "confirmed":
        tick = [(x - arm, y), (x - arm * 0.3, y + arm * 0.7), (x + arm, y - arm * 0.7)]
        pen.line(tick, fill="white", width=stroke, joint="curve")
    else:
        pen.line([(x - arm, y - arm), (x + arm, y + arm)], fill="white", width=stroke)
        pen.line([(x - arm, y + arm), (x + arm, y - arm)], fill="white", width=stroke)
    return marked


def photograph(scene: Scene, overlay: Overlay, rng: Random) -> "Image.Image":
    """One photograph of the scene, RGB; `rng` alone decides how it was taken."""
    image = _exposed(_crop(draw(scene, rng), rng), rng)
    return image if overlay == "plain" else _marked(image, overlay, rng)


def screenshot(rng: Random) -> "Image.Image":
    """The picture of a post: avatar and grey bars for lines of text; it shows no scene at all."""
    from PIL import Image, ImageDraw

    dark = rng.random() < 0.3
    paper, ink = ((24, 28, 36), (120, 128, 140)) if dark else ((250, 250, 252), (150, 156, 166))
    width, height = rng.choice(SIZES[1:]), rng.choice(SIZES[:3])
    image = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(image)
    line, margin = height / 12, width * rng.uniform(0.05, 0.1)
    avatar = tuple(rng.randint(40, 220) for _ in range(3))
    pen.ellipse((margin, line, margin + 2 * line, 3 * line), fill=avatar)
    pen.rectangle(
        (margin + 2.6 * line, 1.3 * line, margin + width * rng.uniform(0.6, 0.8), 1.8 * line), fill=ink
    )
    pen.rectangle(
        (margin + 2.6 * line, 2.2 * line, margin + width * rng.uniform(0.5, 0.58), 2.6 * line), fill=ink
    )
    for row in range(rng.randint(3, 5)):
        top = (4 + 1.3 * row) * line
        pen.rectangle((margin, top, width * rng.uniform(0.55, 0.92), top + 0.6 * line), fill=ink)
    for button in range(4):
        x = margin + button * (width - 2 * margin) / 4
        pen.ellipse((x, 10.6 * line, x + 0.7 * line, 11.3 * line), fill=ink)
    return image


def encoded(image: "Image.Image", extension: str, rng: Random) -> bytes:
    """The file's bytes: JPEG of quality 70 to 95 for `jpg`, PNG for `png`."""
    buffer = io.BytesIO()
    if extension == "png":
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=rng.randint(70, 95))
    return buffer.getvalue()
