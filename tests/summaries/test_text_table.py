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


def test_in_a_terminal_columns_without_room_stand_below_and_long_texts_are_folded():
    rows = [
        ["multimodal_focal", "0.500", "0.123", "."],
        ["text", "", "", "FAILED: train_loss is nan, lower it"],
    ]
    assert text_table(("variant", ">accuracy", ">macro-F1", "differs"), rows, 38).splitlines() == [
        "variant           accuracy  macro-F1",
        "multimodal_focal     0.500     0.123",
        "text",
        "",
        "variant           differs",
        "multimodal_focal  .",
        "text              FAILED: train_loss",
        "                  is nan, lower it",
    ]
