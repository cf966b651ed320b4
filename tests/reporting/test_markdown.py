import json

import pandas as pd
import pytest

from entailment.reporting.markdown import markdown_table, table_records


def test_cells_cannot_end_their_cell_or_line():
    table = markdown_table(["a", "b"], [["x|y", "one\ntwo"], ["", "  spaced  "]])
    assert table == "| a | b |\n| --- | --- |\n| x\\|y | one two |\n|  | spaced |\n"


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match=r"2 cells\. Received: 1"):
        markdown_table(["a", "b"], [["x"]])


def test_a_figure_that_is_not_there_is_null():
    records = table_records(pd.DataFrame({"name": ["a", "b"], "rows": [1, 2], "f1": [0.5, float("nan")]}))
    assert json.loads(json.dumps(records, allow_nan=False)) == [
        {"name": "a", "rows": 1, "f1": 0.5},
        {"name": "b", "rows": 2, "f1": None},
    ]
