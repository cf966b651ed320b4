import pytest

from entailment.evaluation.markdown import markdown_table


def test_cells_cannot_end_their_cell_or_line():
    table = markdown_table(["a", "b"], [["x|y", "one\ntwo"], ["", "  spaced  "]])
    assert table == "| a | b |\n| --- | --- |\n| x\\|y | one two |\n|  | spaced |\n"


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match=r"2 cells\. Received: 1"):
        markdown_table(["a", "b"], [["x"]])
