"""Fonts for every script, and text measured as it is drawn.

Matplotlib lays text out with HarfBuzz and SheenBidi: it shapes Arabic and Indic scripts, and turns what is read from
the right. What its own font lacks comes from Noto fonts of two PyPI packages, never from the system's fonts: pictures
look the same on every machine. They stand in matplotlib's list of fonts from their first use on.
"""

import re
import threading
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

FONT: Final = "DejaVu Sans"
"""Comes with matplotlib."""
DOTS_PER_INCH: Final = 120
POINT: Final = 1 / 72
"""In inches."""
CHARACTERS_READ: Final = 2_000
"""Of a long text; more than any panel shows."""
_NORMAL, _BOLD = 400, 700
_MARKS: Final = 4
"""As many accents, vowel signs and the like as one letter may carry: stacks of them would cover other lines."""
_PICTOGRAPHS: Final = "\N{MAHJONG TILE EAST WIND}"
"""From here on there are only signs that stand alone, the newest emoji among them."""
_JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_AFTER_THE_SCRIPT: Final = (
    r"[- ](?:SMALL|CAPITAL|LETTER|SYLLABLE|SIGN|VOWEL|DIGIT|NUMBER|CHARACTER|IDEOGRAPH|HIEROGLYPH)"
)
"""Words in the names that Unicode gives to letters."""
_SKIN_TONES: Final = "🏻🏼🏽🏾🏿"
_NEVER_FIRST: Final = ("Pe", "Pf", "Po", "Lm")
"""Categories of signs that begin no line, such as a comma."""
_NARROWEST: Final = 0.2
"""Of the font size: no letter is narrower."""
_REGISTERING: Final = threading.Lock()


def families_of(text: str, weight: str = "normal") -> list[str]:
    """What matplotlib takes as `family` for a drawable text: our font, and those that it needs behind it.

    They are few, since each font of the list takes its time, needed or not.

    >>> families_of("hello")
    ['DejaVu Sans']
    """
    having, names = _fonts_by_character(_BOLD if weight == "bold" else _NORMAL), _families()
    chosen, shared = 1, 0
    for sign in text:
        fonts = having.get(ord(sign), 0)
        # Letter and mark come from the first font that has both.
        marked = unicodedata.category(sign).startswith("M") or sign in _JOINERS
        shared = shared & fonts if marked else fonts
        chosen |= (fonts & -fonts) | (shared & -shared)
    return [name for number, name in enumerate(names) if chosen >> number & 1]


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width in inches of a drawable text at `size` points, with the marks that stick out at its ends."""
    from matplotlib.backends import backend_agg
    from matplotlib.font_manager import get_font

    agg: Any = backend_agg
    number = _BOLD if weight == "bold" else _NORMAL
    # Matplotlib keeps one object a thread: it is set anew for each text.
    font = get_font([_font_file(name, number) for name in families_of(text, weight)])
    font.set_size(size, DOTS_PER_INCH)
    font.set_text(text, 0.0, flags=agg.get_hinting_flag())
    width: float = font.get_width_height()[0] / 64 / DOTS_PER_INCH
    return width


def drawable(text: str) -> str:
    """`text` on one line; a character that no font has is named, runs of equal names once.

    A mark (accent, vowel sign) goes where no font has it together with its letter.

    >>> drawable("ok 𒀀𒀁")
    'ok [Cuneiform text]'
    """
    kept: list[str] = []
    shared = marks = 0
    for sign in " ".join(unicodedata.normalize("NFC", text).split()):
        category, fonts = unicodedata.category(sign), _fonts_by_character(_NORMAL).get(ord(sign), 0)
        if category == "Cn" and sign < _PICTOGRAPHS:
            fonts = 0  # Python does not know whether it is a mark.
        if category.startswith("M") or sign in _JOINERS:
            marks, shared = marks + 1, shared & fonts
            if shared and marks <= _MARKS:
                kept.append(sign)
        elif category not in ("Cc", "Cf", "Cs"):
            marks, shared = 0, fonts
            shown = sign if fonts else _named(sign, category)
            if fonts or kept[-1:] != [shown]:
                kept.append(shown)
    return "".join(kept)


def wrapped(text: str, size: float, inches: float, lines: int, weight: str = "normal") -> list[str]:
    """The drawable part of `text`, broken into at most `lines` lines of `inches` at `size` points.

    Lines end at blanks, and before signs that need none (Chinese, emoji). What does not fit is cut off behind an
    ellipsis; a word that is wider than a line is broken.
    """
    done: list[str] = []
    rest = drawable(text[:CHARACTERS_READ])
    while rest and len(done) < lines:
        fits = _characters_within(rest, size, inches, weight)
        end = _line_end(rest, fits) if fits < len(rest) else fits
        done.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if rest or (len(text) > CHARACTERS_READ and done):
        room = _characters_within(done[-1], size, inches, weight, behind="…")
        done[-1] = done[-1][:room].rstrip() + "…"
    return done


def fitted(text: str, size: float, inches: float, weight: str = "normal") -> str:
    """The drawable part of `text` on one line of at most `inches`, cut off behind an ellipsis where it is longer."""
    return "".join(wrapped(text, size, inches, 1, weight))


def from_the_right(text: str) -> bool:
    """Whether a text is read from the right: its first letter is Arabic, Hebrew or the like."""
    directions = (unicodedata.bidirectional(sign) for sign in text)
    return next((found for found in directions if found in ("L", "R", "AL")), "L") != "L"


def _packaged(package: str) -> list[Path]:
    """The font files that a package holds."""
    return sorted(path for path in Path(str(files(package))).iterdir() if path.suffix in (".ttf", ".otf"))


def _families() -> Sequence[str]:
    """Our font, and behind it one for each script that it lacks: all are in matplotlib's list of fonts."""
    with _REGISTERING:
        return _registered()


@cache
def _registered() -> tuple[str, ...]:
    from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager

    noto = [
        path for path in _packaged("manimgx_fonts") if not path.name.startswith(("NotoSans[", "NotoSans-"))
    ]
    found = [*noto, *_packaged("noto_cjk_sans_jp_regular"), Path(findfont(FontProperties(family=[FONT])))]
    names = [f"entailment {path.stem}" for path in found]
    for name, path in zip(names, found, strict=True):
        # These fonts have one weight, which stands in for both: matplotlib would warn of the other one.
        for weight in (_NORMAL, _BOLD):
            fontManager.ttflist.append(FontEntry(fname=str(path), name=name, weight=weight, size="scalable"))
    return (FONT, *names)


@cache
def _font_file(name: str, weight: int) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return findfont(FontProperties(family=[name], weight=weight))


@cache
def _fonts_by_character(weight: int) -> dict[int, int]:
    """By code point which of our fonts have it: a bit for each."""
    from matplotlib.font_manager import get_font

    having: dict[int, int] = {}
    for number, name in enumerate(_families()):
        for code in get_font(_font_file(name, weight)).get_charmap():
            having[code] = having.get(code, 0) | 1 << number
    return having


def _named(sign: str, category: str) -> str:
    """What stands for a character that no font has: its script, or its own name in brackets."""
    name = unicodedata.name(sign, "")
    if not name:
        return "[unknown character]"
    if category[0] in "LMN":
        return f"[{re.split(_AFTER_THE_SCRIPT, name)[0].title()} text]"
    return f"[{name.lower()}]"


def _characters_within(text: str, size: float, inches: float, weight: str, behind: str = "") -> int:
    """How many characters of `text` fit into `inches` with `behind` after them; at least those of one sign."""
    most = min(len(text), 1 + int(inches / (size * POINT * _NARROWEST)))
    ends = [end for end in range(1, most + 1) if end == len(text) or not _one_sign(text, end)]
    if not ends:
        return most

    def width(number: int) -> float:
        return text_width(text[: ends[number - 1]] + behind, size, weight)

    # Measuring takes time: it begins where the signs would fill the line, each by itself, then all as narrow as they
    # are together.
    apart = accumulate(_advance(sign, weight) * size for sign in text[:most])
    likely = max(1, bisect_right(ends, sum(1 for reached in apart if reached <= inches)))
    low, step = min(len(ends), int(likely * inches / max(width(likely), POINT))), 1
    while low > 0 and width(low) > inches:
        low, step = max(0, low - step), 2 * step
    high, step = low + 1, 1
    while high <= len(ends) and width(high) <= inches:
        low, high, step = high, high + step, 2 * step
    between = range(low + 1, min(high, len(ends) + 1))
    return ends[max(low + bisect_right(between, inches, key=width), 1) - 1]


@lru_cache(10_000)
def _advance(sign: str, weight: str) -> float:
    """Width in inches of one sign by itself, for each point of the font size."""
    return text_width(sign, 10, weight) / 10


def _one_sign(text: str, place: int) -> bool:
    """Whether the characters before and at `place` make up one sign, such as a letter and its accent."""
    before, at = text[place - 1], text[place]
    return unicodedata.category(at).startswith("M") or at in _JOINERS + _SKIN_TONES or before in _JOINERS


def _line_end(text: str, fits: int) -> int:
    """Where a line of at most `fits` characters ends: at the last blank, or before a sign that needs none."""
    for place in range(fits, 0, -1):
        at = text[place]
        wide = unicodedata.east_asian_width(at) in "WF" and unicodedata.category(at) not in _NEVER_FIRST
        if at == " " or (wide and not _one_sign(text, place)):
            return place
    return fits
