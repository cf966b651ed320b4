"""Text in a terminal: folded to its width, between words."""

import pytest

from stacks.terminal import folded


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("as it is", None, ["as it is"]),
        ("Split     train 48, test 20", 20, ["Split     train 48,", "          test 20"]),
        (
            "NOT MET   rows: too few of them",
            20,
            ["NOT MET   rows: too", "          few of", "          them"],
        ),
        ("Error: two\n  row 1, column label", 15, ["Error: two", "  row 1, column", "  label"]),
        ("in /a/very/long-path/that/stays whole", 10, ["in", "/a/very/long-path/that/stays", "whole"]),
    ],
)
def test_lines_are_folded_between_words(text, width, lines):
    assert folded(text, width).split("\n") == lines
