import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from entailment.reporting import fonts
from entailment.reporting.fonts import (
    DOTS_PER_INCH,
    drawable,
    families_of,
    fitted,
    from_the_right,
    text_width,
    wrapped,
)

SCRIPTS = {
    "emoji": "😂🔥👍🏽👩‍👩‍👧🇩🇪❤️🫠",
    "Chinese": "你好世界，这是测试。",
    "Japanese": "日本語のテキスト、カタカナ。",
    "Korean": "안녕하세요 한국어",
    "Arabic": "مرحبا بالعالم ١٢٣",
    "Hebrew": "שָׁלוֹם עולם",
    "Thai": "ภาษาไทย น้ำ",
    "Devanagari": "हिन्दी क्षत्रिय",
    "others": "বাংলা தமிழ் తెలుగు ಕನ್ನಡ ქართული Հայերեն አማርኛ ខ្មែរ မြန်မာ සිංහල",
}


def drawn(text, weight, family):
    """The text in 11 points, uint8 [height, width]; any warning, as of a missing glyph, is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = Figure(figsize=(14, 1), dpi=DOTS_PER_INCH)
        figure.text(0.05, 0.4, text, family=family, fontsize=11, weight=weight, parse_math=False)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0]


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_every_script_is_drawn_whole_and_as_wide_as_it_is_measured(text, weight):
    assert drawable(text) == text
    pixels = drawn(text, weight, families_of(text, weight))
    ink = np.flatnonzero((pixels < 200).any(axis=0))
    # What is measured has the space beside the first and the last sign.
    assert 0 <= text_width(text, 11, weight) - np.ptp(ink) / DOTS_PER_INCH < 0.14
    assert (pixels == drawn(text, weight, fonts._families())).all()


def test_a_text_asks_for_the_fonts_that_it_needs_alone():
    ours = ["DejaVu Sans"]
    assert families_of("hello, Grüße ✓…", "bold") == families_of("") == families_of(SCRIPTS["Arabic"]) == ours
    assert families_of(SCRIPTS["Japanese"]) == families_of(SCRIPTS["Chinese"])
    counts = {name: len(families_of(text)) for name, text in SCRIPTS.items()}
    assert counts == dict.fromkeys(SCRIPTS, 2) | {"Arabic": 1, "Hebrew": 1, "others": 9}


@pytest.mark.parametrize("text", ["the quick brown fox " * 99, *(text * 99 for text in SCRIPTS.values())])
def test_a_line_is_measured_a_few_times(text, monkeypatch):
    wrapped(text, 11, 6, 9)  # each sign by itself is measured once
    measured = []
    monkeypatch.setattr(fonts, "text_width", lambda *given: measured.append(given) or text_width(*given))
    assert len(wrapped(text, 11, 6, 9)) == 9
    assert len(measured) < 9 * 7
    assert all(len(given[0]) < 150 for given in measured)


def test_bold_letters_are_measured_bold():
    assert text_width("wide", 11, "bold") > 1.05 * text_width("wide", 11)
    title = "a title of many words that does not fit " * 3
    assert text_width(fitted(title, 13, 4, "bold"), 13, "bold") <= 4


def test_arabic_is_joined_and_marks_and_emoji_are_one_sign():
    apart = sum(text_width(letter, 11) for letter in "مرحبا")
    assert text_width("مرحبا", 11) < 0.9 * apart
    assert text_width("👩‍👩‍👧", 11) < 1.5 * text_width("👩", 11)
    for text in ("กี่" * 40, "👍🏽" * 40, "ẹ́" * 40, "हि" * 40):
        lines = wrapped(text, 11, 1.0, 20)
        assert len(lines) > 1 and "".join(lines) == drawable(text)
        assert all(len(line) % len(drawable(text[: len(text) // 40])) == 0 for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b\n\n c\u202e e\u0301", "a b c é"),
        ("x 𒀀𒀁 y", "x [Cuneiform text] y"),
        ("\U0001d11e", "[musical symbol g clef]"),
        ("\ue000\ue001", "[unknown character]"),
        ("z" + "\u0301" * 30, "ź" + "\u0301" * 4),
        ("\u0301 日\u0e34", " 日"),
    ],
)
def test_what_no_font_has_is_named_and_what_only_turns_or_stacks_goes(text, shown):
    assert drawable(text) == shown


def test_the_side_that_a_text_is_read_from():
    assert from_the_right("12 שלום world") and from_the_right("مرحبا")
    assert not from_the_right("hello שלום") and not from_the_right("123 😂") and not from_the_right("")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120), st.floats(0.5, 4), st.integers(1, 4), st.sampled_from(["normal", "bold"]))
@example("a" * 5_000, 1.0, 5, "normal")
@example("中文测试" * 30, 1.0, 3, "normal")
@example("مرحبا بالعالم " * 30, 1.0, 3, "bold")
def test_wrapped_lines_fit_are_drawn_and_lose_nothing_unsaid(text, inches, lines, weight):
    got = wrapped(text, 11, inches, lines, weight)
    assert len(got) <= lines
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(text_width(line, 11, weight) <= inches for line in got)
    shown, whole = "".join(got).replace(" ", ""), drawable(text).replace(" ", "")
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown.rstrip("…")))


def test_words_stay_whole_where_they_fit_and_chinese_ends_a_line_anywhere_but_before_a_comma():
    words = "the quick brown fox jumps over the lazy dog"
    lines = wrapped(words, 11, 1.2, 9)
    assert len(lines) > 2 and " ".join(lines) == words
    lines = wrapped("hello 你好世界，这是测试。你好世界，这是测试。", 11, 1.5, 9)
    assert lines[0].startswith("hello 你好") and not any(line[0] in "，。" for line in lines)
