"""Printed tables: plain, aligned, never cut."""

import pytest

from summaries.text_table import text_table


@pytest.fixture(autouse=True)
def narrow_and_coloured(monkeypatch):
    """What would make rich fold lines and write colours."""
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


def test_columns_are_as_wide_as_what_they_hold():
    rows = [["[red]x[/red]", "7", "a"], ["日本", "1234", ""], ["alone"]]
    assert text_table(("name", ">count", ""), rows).splitlines() == [
        "name          count",
        "[red]x[/red]      7  a",
        "日本           1234",
        "alone",
    ]


def test_nothing_is_cut_or_folded():
    name, why = "n" * 300, "because " * 50
    head, row = text_table(("variant", "why"), [[name, why]]).splitlines()
    assert row == f"{name}  {why.rstrip()}" and head.split() == ["variant", "why"]
