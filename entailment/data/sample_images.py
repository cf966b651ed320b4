"""The pictures of the generated sample data: drawn scenes, photographed anew each time.

Two photographs of one scene never share their bytes; what they share is what they show.
"""

from random import Random
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

Mark = Literal["plain", "confirmed", "refuted"]
"""What a fact checker put over a photograph: nothing, a green tick or a red cross."""

Colour = tuple[int, int, int]
Shape = tuple[str, Colour | None, tuple[float, ...]]
"""A method of Pillow's ImageDraw, a colour (None: the thing's own), and x, y, x, y, ... on a canvas of 100 x 75;
the x of a thing counts from its middle."""

SCALE: Final = 4
"""Pixels of the drawing to a unit of the canvas."""
WIDTHS: Final = (160, 192, 224, 256, 288, 320)
"""Of the image files, in pixels; the height is three quarters of it."""
WHITE: Final = (255, 255, 255)
BLACK: Final = (30, 28, 32)
LAMP: Final = (255, 228, 140)
"""Lamps and windows keep this colour under every light."""
COLOURS: Final[dict[str, Colour]] = {"red": (212, 40, 48), "blue": (32, 84, 190), "purple": (140, 60, 160)}


class Light(NamedTuple):
    """How a moment looks: both ends of the sky, what colours are pulled to and how far (0 to 1), sun or moon."""

    zenith: Colour
    horizon: Colour
    tint: Colour
    strength: float
    disc: Colour


MOMENTS: Final[dict[str, Light]] = {
    "day": Light((70, 145, 230), (214, 236, 252), WHITE, 0.0, (255, 240, 140)),
    "sunset": Light((110, 60, 130), (255, 170, 80), (226, 96, 52), 0.35, (255, 226, 130)),
    "night": Light((6, 8, 30), (36, 42, 92), (10, 14, 46), 0.55, (244, 240, 214)),
    "snow": Light((176, 188, 204), (236, 240, 245), (244, 248, 253), 0.5, (206, 214, 226)),
}
PLACES: Final[dict[str, tuple[Shape, ...]]] = {
    "beach": (
        ("rectangle", (28, 138, 178), (-5, 36, 105, 60)),
        ("polygon", (238, 212, 150), (-5, 57, 40, 53, 105, 58, 105, 76, -5, 76)),
        ("polygon", (122, 84, 48), (10, 72, 14, 72, 17, 20, 15, 20)),
        ("polygon", (38, 126, 58), (17, 22, 7, 23, 0, 32, 1, 22, 9, 17, 2, 12, 13, 12, 17, 17)),
        ("polygon", (38, 126, 58), (15, 22, 25, 23, 32, 32, 31, 22, 23, 17, 30, 12, 19, 12, 15, 17)),
    ),
    "mountains": (
        ("polygon", (128, 140, 166), (-5, 44, 18, 20, 40, 40, 62, 16, 84, 36, 105, 22, 105, 44)),
        ("polygon", (92, 96, 108), (-5, 46, 32, 12, 56, 42, 78, 22, 105, 46)),
        ("polygon", WHITE, (32, 12, 24, 19, 30, 18, 34, 22, 38, 20)),
        ("polygon", WHITE, (78, 22, 71, 28, 77, 27, 80, 30, 85, 28)),
        ("rectangle", (104, 140, 84), (-5, 44, 105, 76)),
    ),
    "city": (
        *(("rectangle", (96, 98, 118), (x, y, x + 19, 62)) for x, y in ((-4, 22), (36, 28), (78, 20))),
        *(("rectangle", (130, 126, 138), (x, y, x + 17, 62)) for x, y in ((17, 10), (58, 14))),
        *(("rectangle", LAMP, (x, y, x + 3, y + 4)) for x in (-1, 6, 20, 27, 40, 47) for y in (34, 42, 50)),
        *(("rectangle", LAMP, (x, y, x + 3, y + 4)) for x in (61, 68, 82, 89) for y in (34, 42, 50)),
        ("rectangle", (74, 74, 80), (-5, 60, 105, 76)),
    ),
    "forest": (
        ("rectangle", (70, 104, 52), (-5, 44, 105, 76)),
        *(("polygon", (36, 98, 62), (x, 8, x - 9, 48, x + 9, 48)) for x in (4, 24, 42, 60, 78, 96)),
        *(("polygon", (16, 66, 38), (x, 18, x - 10, 64, x + 10, 64)) for x in (12, 32, 70, 90)),
    ),
    "desert": (
        ("polygon", (222, 164, 92), (-5, 42, 30, 36, 60, 44, 105, 34, 105, 76, -5, 76)),
        ("polygon", (206, 138, 66), (-5, 58, 40, 48, 105, 60, 105, 76, -5, 76)),
        ("rectangle", (52, 116, 62), (9, 26, 13, 64)),
        *(("rectangle", (52, 116, 62), (x, y, x + 3, y + 12)) for x, y in ((3, 36), (16, 32))),
        *(("rectangle", (52, 116, 62), (x, y, x + 7, y + 3)) for x, y in ((3, 46), (12, 42))),
    ),
    "field": (
        ("rectangle", (70, 140, 60), (-5, 38, 105, 76)),
        *(("polygon", (214, 44, 70), (50 + x, 38, 6 * x + 54, 76, 6 * x + 44, 76)) for x in (-12, -4, 4, 12)),
        *(("polygon", (250, 204, 44), (50 + x, 38, 6 * x + 54, 76, 6 * x + 44, 76)) for x in (-8, 0, 8)),
    ),
}
THINGS: Final[dict[str, tuple[Shape, ...]]] = {
    "balloon": (
        ("polygon", (70, 56, 44), (-14, 36, -4, 53, 4, 53, 14, 36, 3, 51, -3, 51)),
        ("ellipse", None, (-18, 5, 18, 45)),
        ("ellipse", WHITE, (-11, 5, 11, 45)),
        ("ellipse", None, (-4, 5, 4, 45)),
        ("rectangle", (138, 92, 50), (-5, 52, 5, 59)),
    ),
    "bus": (
        ("rectangle", None, (-30, 36, 30, 65)),
        *(("rectangle", LAMP, (x, 40, x + 9, 49)) for x in (-27, -16, -5, 6, 17)),
        ("rectangle", WHITE, (-30, 54, 30, 56)),
        *(("ellipse", BLACK, (x - 5, 60, x + 5, 70)) for x in (-17, 17)),
    ),
    "lighthouse": (
        ("polygon", WHITE, (-6, 18, 6, 18, 11, 70, -11, 70)),
        ("polygon", None, (-6, 18, 6, 18, 7, 28, -7, 28)),
        ("polygon", None, (-8, 39, 8, 39, 9, 49, -9, 49)),
        ("polygon", None, (-10, 60, 10, 60, 11, 70, -11, 70)),
        ("rectangle", LAMP, (-4, 11, 4, 18)),
        ("polygon", BLACK, (-6, 11, 0, 5, 6, 11)),
    ),
    "tent": (
        ("polygon", None, (0, 18, 28, 44, 28, 70, -28, 70, -28, 44)),
        *(("polygon", WHITE, (0, 18, x, 44, x, 70, x + 8, 70, x + 8, 44)) for x in (-20, -4, 12)),
        ("polygon", BLACK, (-6, 70, 0, 52, 6, 70)),
        ("polygon", None, (0, 18, 0, 6, 11, 9, 1, 12)),
    ),
}


class Scene(NamedTuple):
    """What a photograph shows: a key of PLACES, MOMENTS, THINGS and COLOURS each."""

    place: str
    moment: str
    thing: str
    colour: str


def random_scene(rng: Random, unlike: Scene | None = None) -> Scene:
    """Any scene, or one that shares nothing with `unlike`."""
    kinds = (PLACES, MOMENTS, THINGS, COLOURS)
    return Scene(*(rng.choice([name for name in kind if name not in (unlike or ())]) for kind in kinds))


def _drawn(scene: Scene, rng: Random) -> "Image.Image":
    """The scene as RGB; where the thing, the sun, stars and flakes are differs from time to time."""
    from PIL import Image, ImageDraw, ImageOps

    light = MOMENTS[scene.moment]
    column = Image.linear_gradient("L").crop((0, 0, 1, 256))
    sky = ImageOps.colorize(column, light.zenith, light.horizon)
    image = sky.resize((100 * SCALE, 75 * SCALE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)

    def disc(x: float, y: float, radius: float, colour: Colour) -> None:
        pen.ellipse([SCALE * edge for edge in (x - radius, y - radius, x + radius, y + radius)], fill=colour)

    def draw(shapes: tuple[Shape, ...], across: float) -> None:
        for method, own, points in shapes:
            colour = own or COLOURS[scene.colour]
            pull = 0 if colour == LAMP else light.strength
            lit = tuple(round(c + pull * (t - c)) for c, t in zip(colour, light.tint, strict=True))
            pixels = [SCALE * (at if i % 2 else at + across) for i, at in enumerate(points)]
            getattr(pen, method)(pixels, fill=lit)

    if scene.moment == "night":
        for _ in range(60):
            disc(rng.uniform(0, 100), rng.uniform(0, 40), rng.uniform(0.1, 0.4), WHITE)
    disc(rng.uniform(10, 90), rng.uniform(10, 18), 6, light.disc)
    draw(PLACES[scene.place], rng.uniform(-3, 3))
    draw(THINGS[scene.thing], rng.uniform(42, 64))
    if scene.moment == "snow":
        for _ in range(150):
            disc(rng.uniform(0, 100), rng.uniform(0, 75), rng.uniform(0.3, 0.8), WHITE)
    return image


def photograph(scene: Scene, mark: Mark, rng: Random) -> "Image.Image":
    """One photograph of the scene, RGB: with a crop, size and light of its own, by `rng` alone."""
    from PIL import Image, ImageEnhance

    image, part, width = _drawn(scene, rng), rng.uniform(0.93, 1.0), rng.choice(WIDTHS)
    left, top = ((1 - part) * rng.random() * side for side in image.size)
    box = (left, top, left + part * image.width, top + part * image.height)
    image = image.resize((width, width * 3 // 4), Image.Resampling.BILINEAR, box)
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.1))
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.8, 1.2))
    return image if mark == "plain" else _marked(image, mark, rng)


def _marked(image: "Image.Image", mark: Mark, rng: Random) -> "Image.Image":
    """The picture under a veil, with a frame and a badge: green with a tick, or red with a cross."""
    from PIL import Image, ImageDraw

    colour = (22, 168, 74) if mark == "confirmed" else (222, 20, 32)
    marked = Image.blend(image, Image.new("RGB", image.size, colour), 0.25)
    pen, (width, height) = ImageDraw.Draw(marked), image.size
    pen.rectangle((0, 0, width - 1, height - 1), outline=colour, width=height // 16)
    r = height * rng.uniform(0.22, 0.28)
    x, y = rng.choice((1.3 * r, width / 2, width - 1.3 * r)), height - 1.3 * r
    pen.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline="white", width=round(r / 12))
    tick, cross = ((-5, 0, -1, 4, 5, -3),), ((-4, -4, 4, 4), (-4, 4, 4, -4))
    for stroke in tick if mark == "confirmed" else cross:
        points = [(y if i % 2 else x) + r / 10 * at for i, at in enumerate(stroke)]
        pen.line(points, fill="white", width=round(r / 4), joint="curve")
    return marked
