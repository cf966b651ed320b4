"""The scenes of the generated sample data: a place, a moment (time of day or weather), a large thing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]
Point = tuple[float, float]
Moment = Literal["day", "sunset", "night", "snow", "rain"]

CANVAS: Final = 360
"""Side of the square canvas in pixels; every photograph is a crop of it, made smaller."""

HORIZON: Final = 0.55
WHITE: Final = (255, 255, 255)
LAMP: Final = (255, 224, 130)


@dataclass(frozen=True)
class Scene:
    """What a photograph shows; `layout` seeds the shapes, so that one place has one skyline."""

    place: str
    moment: Moment
    thing: str
    layout: int


@dataclass(frozen=True)
class Light:
    """How a moment looks: the sky's two ends, and what all colours are pulled to, how far (0 to 1)."""

    sky_top: Colour
    sky_low: Colour
    tint: Colour
    strength: float


LIGHTS: Final[dict[Moment, Light]] = {
    "day": Light((70, 145, 230), (196, 226, 250), WHITE, 0.0),
    "sunset": Light((92, 58, 128), (255, 158, 72), (226, 96, 52), 0.42),
    "night": Light((6, 8, 30), (28, 34, 78), (10, 14, 46), 0.7),
    "snow": Light((188, 198, 212), (236, 240, 245), (244, 248, 253), 0.62),
    "rain": Light((84, 92, 104), (146, 154, 162), (78, 88, 100), 0.52),
}
MOMENTS: Final = tuple(LIGHTS)


class Brush:
    """Draws in units of the canvas (0 to 1, y downwards), every colour under the scene's light."""

    def __init__(self, image: "Image.Image", light: Light, dark: bool) -> None:
        """`dark` says whether lamps and windows are lit."""
        from PIL import ImageDraw

        self.dark = dark
        self._light = light
        self._draw = ImageDraw.Draw(image)

    def lit(self, colour: Colour) -> Colour:
        """The colour under the scene's light."""
        keep, tint = 1 - self._light.strength, self._light.tint
        return (
            int(colour[0] * keep + tint[0] * (1 - keep)),
            int(colour[1] * keep + tint[1] * (1 - keep)),
            int(colour[2] * keep + tint[2] * (1 - keep)),
        )

    def shape(self, points: Sequence[Point], colour: Colour, glow: bool = False) -> None:
        """A filled polygon; one that glows keeps its own colour."""
        scaled = [(x * CANVAS, y * CANVAS) for x, y in points]
        self._draw.polygon(scaled, fill=colour if glow else self.lit(colour))

    def box(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, glow: bool = False
    ) -> None:
        """A filled rectangle."""
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], colour, glow)

    def disc(
        self, x: float, y: float, width: float, height: float, colour: Colour, glow: bool = False
    ) -> None:
        """A filled ellipse around (x, y) with half axes `width` and `height`."""
        edges = [(x - width) * CANVAS, (y - height) * CANVAS, (x + width) * CANVAS, (y + height) * CANVAS]
        self._draw.ellipse(edges, fill=colour if glow else self.lit(colour))

    def stroke(self, points: Sequence[Point], width: float, colour: Colour, glow: bool = False) -> None:
        """A line through the points."""
        scaled = [(x * CANVAS, y * CANVAS) for x, y in points]
        pixels = max(1, round(width * CANVAS))
        self._draw.line(scaled, fill=colour if glow else self.lit(colour), width=pixels, joint="curve")


def _ridge(rng: Random, peaks: int, low: float, high: float) -> list[Point]:
    """A jagged line from the left edge to the right one, closed along the horizon."""
    xs = [i / (2 * peaks) for i in range(2 * peaks + 1)]
    ys = [
        rng.uniform(high, (high + low) / 2) if i % 2 else rng.uniform((high + low) / 2, low)
        for i in range(len(xs))
    ]
    return [(0.0, HORIZON + 0.05), *zip(xs, ys, strict=True), (1.0, HORIZON + 0.05)]


def _beach(brush: Brush, rng: Random) -> None:
    brush.box(0, HORIZON - 0.08, 1, 0.76, (28, 138, 178))
    for _ in range(14):
        x, y = rng.random(), rng.uniform(HORIZON - 0.05, 0.72)
        brush.stroke([(x, y), (x + rng.uniform(0.06, 0.18), y)], 0.006, (176, 224, 236))
    shore = [(x / 6, 0.72 + rng.uniform(-0.03, 0.03)) for x in range(7)]
    brush.shape([(0, 1), *[(x, y - 0.02) for x, y in shore], (1, 1)], WHITE)
    brush.shape([(0, 1), *shore, (1, 1)], (238, 212, 150))
    x, lean = rng.choice([0.1, 0.88]), rng.uniform(-0.05, 0.05)
    brush.stroke([(x, 0.95), (x + lean, 0.3)], 0.03, (122, 84, 48))
    for dx, dy in ((-0.2, 0.06), (-0.15, -0.08), (0.0, -0.13), (0.15, -0.08), (0.2, 0.06)):
        brush.shape(
            [(x + lean, 0.28), (x + lean + dx, 0.3 + dy), (x + lean + dx * 0.5, 0.24 + dy)], (38, 126, 58)
        )


def _mountains(brush: Brush, rng: Random) -> None:
    brush.shape(_ridge(rng, 4, 0.44, 0.24), (128, 140, 166))
    front = _ridge(rng, 3, 0.52, 0.16)
    brush.shape(front, (92, 96, 108))
    for x, y in front[1:-1]:
        if y < 0.36:
            brush.shape([(x, y), (x - 0.05, y + 0.09), (x, y + 0.06), (x + 0.05, y + 0.1)], WHITE)
    brush.box(0, HORIZON, 1, 1, (104, 140, 84))
    brush.shape([(0, 0.8), (0.3, 0.64), (0.7, 0.68), (1, 0.62), (1, 0.78), (0.5, 0.84)], (74, 148, 186))


def _city(brush: Brush, rng: Random) -> None:
    x = -0.02
    while x < 1:
        width, top, shade = rng.uniform(0.09, 0.17), rng.uniform(0.1, 0.42), rng.randint(84, 150)
        brush.box(x, top, x + width, 0.8, (shade, shade, shade + 14))
        for row in range(int((0.76 - top) / 0.055)):
            for column in range(int((width - 0.02) / 0.035)):
                left, up = x + 0.015 + column * 0.035, top + 0.025 + row * 0.055
                on = brush.dark and rng.random() < 0.6
                brush.box(left, up, left + 0.018, up + 0.03, LAMP if on else (54, 70, 96), glow=on)
        x += width + rng.uniform(0.0, 0.015)
    brush.box(0, 0.78, 1, 1, (82, 82, 88))
    for left in range(6):
        brush.box(left * 0.18, 0.885, left * 0.18 + 0.09, 0.9, (236, 226, 150))


def _forest(brush: Brush, rng: Random) -> None:
    brush.box(0, HORIZON - 0.05, 1, 1, (70, 104, 52))
    for base, height, green in (
        (0.62, 0.5, (36, 88, 60)),
        (0.76, 0.58, (24, 74, 44)),
        (0.98, 0.5, (16, 58, 34)),
    ):
        for step in range(8):
            x, tall = step / 7 + rng.uniform(-0.05, 0.05), height * rng.uniform(0.75, 1.05)
            brush.box(x - 0.012, base - 0.06, x + 0.012, base, (84, 58, 38))
            for tier in range(3):
                top, half = base - tall + tier * tall * 0.24, 0.05 + 0.022 * tier
                brush.shape([(x, top), (x - half, top + tall * 0.42), (x + half, top + tall * 0.42)], green)


def _desert(brush: Brush, rng: Random) -> None:
    for level, colour in ((0.5, (222, 164, 92)), (0.62, (212, 146, 74)), (0.76, (228, 176, 104))):
        crest = [(i / 8, level + rng.uniform(-0.07, 0.05)) for i in range(9)]
        brush.shape([(0, 1), *crest, (1, 1)], colour)
    for _ in range(4):
        x, foot, tall = rng.random(), rng.uniform(0.68, 0.95), rng.uniform(0.16, 0.3)
        for line in (
            [(x, foot), (x, foot - tall)],
            [(x, foot - tall * 0.4), (x - 0.06, foot - tall * 0.4), (x - 0.06, foot - tall * 0.8)],
            [(x, foot - tall * 0.3), (x + 0.06, foot - tall * 0.3), (x + 0.06, foot - tall * 0.65)],
        ):
            brush.stroke(line, 0.032, (52, 116, 62))


def _stadium(brush: Brush, rng: Random) -> None:
    brush.shape([(0, 0.24), (0.5, 0.34), (1, 0.24), (1, 0.66), (0, 0.66)], (148, 150, 160))
    crowd: list[Colour] = [(206, 56, 56), (240, 240, 240), (50, 84, 170), (240, 196, 60)]
    favourite = rng.choice(crowd)
    for row in range(7):
        for seat in range(32):
            x = seat / 31
            y = 0.3 + 0.08 * (1 - abs(2 * x - 1)) + row * 0.042
            colour = favourite if rng.random() < 0.6 else rng.choice(crowd)
            brush.disc(x, y, 0.012, 0.014, colour)
    for stripe in range(8):
        colour = (62, 158, 66) if stripe % 2 else (46, 136, 54)
        brush.shape(
            [(stripe / 8, 0.64), ((stripe + 1) / 8, 0.64), (stripe / 4 - 0.25, 1), (stripe / 4 - 0.5, 1)],
            colour,
        )
    brush.stroke([(0, 0.7), (1, 0.7)], 0.008, WHITE)
    for x in (0.06, 0.94):
        brush.box(x - 0.012, 0.06, x + 0.012, 0.4, (96, 98, 104))
        brush.box(x - 0.055, 0.03, x + 0.055, 0.11, LAMP if brush.dark else (220, 224, 230), glow=brush.dark)


def _village(brush: Brush, rng: Random) -> None:
    brush.shape([(0, 0.5), (0.25, 0.4), (0.6, 0.46), (1, 0.38), (1, 1), (0, 1)], (112, 152, 78))
    walls: list[Colour] = [(240, 228, 206), (226, 190, 160), (214, 216, 222), (244, 214, 130)]
    for x in (-0.04, 0.2, 0.44, 0.68, 0.9):
        left, top, width = x + rng.uniform(-0.02, 0.02), rng.uniform(0.46, 0.56), rng.uniform(0.18, 0.22)
        brush.box(left, top, left + width, 0.8, rng.choice(walls))
        brush.shape(
            [(left - 0.02, top), (left + width / 2, top - 0.15), (left + width + 0.02, top)], (168, 66, 48)
        )
        for hole in (0.2, 0.62):
            window = left + width * hole
            colour = LAMP if brush.dark else (92, 124, 150)
            brush.box(window, top + 0.06, window + 0.04, top + 0.12, colour, glow=brush.dark)
    brush.shape([(0, 0.86), (1, 0.8), (1, 1), (0, 1)], (176, 160, 140))


def _field(brush: Brush, rng: Random) -> None:
    flowers: list[Colour] = [(214, 44, 70), (250, 204, 44), (238, 120, 176), (126, 70, 170), (246, 130, 40)]
    rng.shuffle(flowers)
    brush.box(0, HORIZON - 0.02, 1, 1, (70, 140, 60))
    vanish = rng.uniform(0.3, 0.7)
    for row in range(-6, 10):
        colour = flowers[row % 4]
        foot = vanish + (row - 2) * 0.24
        near, far = 0.15, 0.012
        top = vanish + (row - 2) * 0.045
        brush.shape([(top, HORIZON), (top + far * 2, HORIZON), (foot + near, 1), (foot, 1)], colour)
    brush.box(0, HORIZON - 0.05, 1, HORIZON, (58, 110, 62))


def _balloon(brush: Brush, x: float, colour: Colour) -> None:
    brush.disc(x, 0.3, 0.2, 0.24, colour)
    brush.disc(x, 0.3, 0.12, 0.24, WHITE)
    brush.disc(x, 0.3, 0.05, 0.24, colour)
    for side in (-0.1, 0.1):
        brush.stroke([(x + side, 0.5), (x + side * 0.5, 0.63)], 0.006, (60, 50, 40))
    brush.box(x - 0.06, 0.62, x + 0.06, 0.7, (138, 92, 50))


def _bus(brush: Brush, x: float, colour: Colour) -> None:
    brush.box(x - 0.33, 0.5, x + 0.33, 0.88, colour)
    for window in range(5):
        left = x - 0.3 + window * 0.125
        shown = LAMP if brush.dark else (190, 222, 240)
        brush.box(left, 0.55, left + 0.1, 0.67, shown, glow=brush.dark)
    brush.box(x - 0.33, 0.72, x + 0.33, 0.75, WHITE)
    for wheel in (-0.2, 0.2):
        brush.disc(x + wheel, 0.89, 0.065, 0.065, (26, 26, 30))
        brush.disc(x + wheel, 0.89, 0.03, 0.03, (180, 180, 186))


def _lighthouse(brush: Brush, x: float, colour: Colour) -> None:
    for band in range(6):
        top, half = 0.22 + band * 0.11, 0.07 + band * 0.012
        shade = colour if band % 2 == 0 else WHITE
        brush.shape(
            [
                (x - half, top),
                (x + half, top),
                (x + half + 0.012, top + 0.11),
                (x - half - 0.012, top + 0.11),
            ],
            shade,
        )
    if brush.dark:
        brush.shape([(x, 0.16), (x - 0.7, 0.02), (x - 0.7, 0.26)], (250, 240, 170), glow=True)
    brush.box(x - 0.06, 0.12, x + 0.06, 0.22, LAMP, glow=brush.dark)
    brush.shape([(x - 0.09, 0.12), (x, 0.03), (x + 0.09, 0.12)], (60, 60, 66))


def _wheel(brush: Brush, x: float, colour: Colour) -> None:
    brush.shape(
        [
            (x - 0.2, 0.92),
            (x - 0.02, 0.42),
            (x + 0.02, 0.42),
            (x + 0.2, 0.92),
            (x + 0.15, 0.92),
            (x, 0.5),
            (x - 0.15, 0.92),
        ],
        (110, 112, 122),
    )
    spokes = ((1, 0), (0.866, 0.5), (0.5, 0.866), (0, 1), (-0.5, 0.866), (-0.866, 0.5))
    rim = [*spokes, *[(-dx, -dy) for dx, dy in spokes]]
    for dx, dy in spokes:
        ends = [(x - dx * 0.34, 0.42 - dy * 0.34), (x + dx * 0.34, 0.42 + dy * 0.34)]
        brush.stroke(ends, 0.01, (230, 232, 238))
    brush.stroke([(x + dx * 0.34, 0.42 + dy * 0.34) for dx, dy in [*rim, rim[0]]], 0.018, colour)
    for dx, dy in rim:
        brush.disc(
            x + dx * 0.34, 0.44 + dy * 0.34, 0.042, 0.042, LAMP if brush.dark else colour, glow=brush.dark
        )


def _tent(brush: Brush, x: float, colour: Colour) -> None:
    for stripe in range(8):
        left, right = x - 0.36 + stripe * 0.09, x - 0.27 + stripe * 0.09
        shade = colour if stripe % 2 else (250, 246, 236)
        middle = x + (stripe - 3.5) * 0.012
        brush.shape([(middle, 0.3), (left, 0.62), (right, 0.62)], shade)
        brush.box(left + 0.005, 0.62, right, 0.9, shade)
    brush.shape(
        [(x - 0.06, 0.9), (x, 0.68), (x + 0.06, 0.9)], LAMP if brush.dark else (60, 30, 30), glow=brush.dark
    )
    brush.stroke([(x, 0.31), (x, 0.18)], 0.01, (70, 70, 76))
    brush.shape([(x, 0.18), (x + 0.11, 0.21), (x, 0.25)], colour)


def _windmill(brush: Brush, x: float, colour: Colour) -> None:
    brush.shape([(x - 0.09, 0.4), (x + 0.09, 0.4), (x + 0.15, 0.92), (x - 0.15, 0.92)], (236, 226, 208))
    brush.shape([(x - 0.11, 0.41), (x, 0.26), (x + 0.11, 0.41)], colour)
    for dx, dy in ((0.78, 0.62), (-0.62, 0.78), (-0.78, -0.62), (0.62, -0.78)):
        tip, side = (x + dx * 0.38, 0.38 + dy * 0.38), (-dy * 0.1, dx * 0.1)
        brush.shape(
            [(x, 0.38), tip, (tip[0] + side[0], tip[1] + side[1]), (x + side[0] * 0.6, 0.38 + side[1] * 0.6)],
            (206, 208, 214),
        )
        brush.stroke([(x, 0.38), tip], 0.014, (96, 66, 44))
    brush.box(x - 0.04, 0.78, x + 0.04, 0.92, (104, 66, 40))


PLACES: Final[dict[str, Callable[[Brush, Random], None]]] = {
    "beach": _beach,
    "mountains": _mountains,
    "city": _city,
    "forest": _forest,
    "desert": _desert,
    "stadium": _stadium,
    "village": _village,
    "field": _field,
}
THINGS: Final[dict[str, Callable[[Brush, float, Colour], None]]] = {
    "balloon": _balloon,
    "bus": _bus,
    "lighthouse": _lighthouse,
    "wheel": _wheel,
    "tent": _tent,
    "windmill": _windmill,
}
THING_COLOURS: Final[tuple[Colour, ...]] = (
    (204, 40, 48),
    (32, 84, 180),
    (236, 170, 30),
    (26, 132, 92),
    (140, 60, 150),
)


def _sky(scene: Scene) -> "Image.Image":
    """The canvas with the sky's gradient on it."""
    import numpy as np
    from PIL import Image

    light = LIGHTS[scene.moment]
    share = np.clip(np.arange(CANVAS) / (CANVAS * HORIZON), 0, 1)[:, None, None]
    column = np.asarray(light.sky_top) * (1 - share) + np.asarray(light.sky_low) * share
    strip = Image.fromarray(column.astype(np.uint8))
    return strip.resize((CANVAS, CANVAS), Image.Resampling.NEAREST)


def _heavens(brush: Brush, moment: Moment, rng: Random) -> None:
    """Sun, moon, stars and clouds."""
    x, y = rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.2)
    if moment == "night":
        for _ in range(60):
            size = rng.uniform(0.002, 0.005)
            brush.disc(rng.random(), rng.uniform(0, HORIZON), size, size, WHITE, glow=True)
        brush.disc(x, y, 0.07, 0.07, (244, 240, 214), glow=True)
        brush.disc(x + 0.03, y - 0.015, 0.06, 0.06, (10, 12, 38), glow=True)
    elif moment == "sunset":
        brush.disc(x, HORIZON - 0.12, 0.13, 0.13, (255, 196, 92), glow=True)
        brush.disc(x, HORIZON - 0.12, 0.1, 0.1, (255, 234, 150), glow=True)
    else:
        if moment == "day":
            brush.disc(x, y, 0.075, 0.075, (255, 240, 140), glow=True)
        for _ in range(3 if moment == "day" else 7):
            x, y = rng.random(), rng.uniform(0.04, 0.32)
            for puff in (-0.07, 0.0, 0.07):
                brush.disc(x + puff, y, 0.08, rng.uniform(0.025, 0.045), (250, 251, 253))


def _weather(brush: Brush, moment: Moment, rng: Random) -> None:
    """Falling snow or rain, in front of everything."""
    if moment == "snow":
        for _ in range(170):
            size = rng.uniform(0.004, 0.011)
            brush.disc(rng.random(), rng.random(), size, size, WHITE, glow=True)
    elif moment == "rain":
        for _ in range(130):
            x, y, length = rng.random(), rng.random(), rng.uniform(0.03, 0.08)
            brush.stroke([(x, y), (x - length * 0.3, y + length)], 0.004, (196, 206, 218), glow=True)


def draw(scene: Scene, rng: Random) -> "Image.Image":
    """The scene as an RGB picture of CANVAS x CANVAS pixels.

    The scene's own layout fixes its shapes; `rng` moves only what moves between two looks at it: where the
    large thing stands, clouds, stars, drops and flakes.
    """
    image = _sky(scene)
    brush = Brush(image, LIGHTS[scene.moment], dark=scene.moment in ("night", "sunset"))
    layout = Random(scene.layout)
    colour = layout.choice(THING_COLOURS)
    where = layout.uniform(0.36, 0.64)
    _heavens(brush, scene.moment, rng)
    PLACES[scene.place](brush, layout)
    THINGS[scene.thing](brush, where + rng.uniform(-0.06, 0.06), colour)
    _weather(brush, scene.moment, rng)
    return image
