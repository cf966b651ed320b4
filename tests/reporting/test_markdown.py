import json

import pandas as pd
import pytest

from entailment.reporting.description import description
from entailment.reporting.markdown import markdown_table, plain, table_records


def test_cells_cannot_end_their_cell_or_line():
    table = markdown_table(["a", "b"], [["x|y", "one\ntwo"], ["", "  spaced  "]])
    assert table == "| a | b |\n| --- | --- |\n| x\\|y | one two |\n|  | spaced |\n"


def test_names_of_data_and_classes_are_shown_as_they_are():
    """Whoever wrote the file chose them: they draw nothing and load nothing on a page of MLflow's."""
    hostile = "[x](http://a) ![](b) <img src=c>\n# *d* `e` _f_ g_h ~~i~~ | \\"
    said = r"\[x\](http://a) !\[\](b) &lt;img src=c&gt; # \*d\* \`e\` \_f\_ g_h \~\~i\~\~ \| \\"
    assert plain(hostile) == said
    assert markdown_table([hostile], [["`a|b`"], ["**no**"], ["`<b>` `"], ["**<b>**"]]).splitlines() == [
        f"| {said} |",
        "| --- |",
        r"| `a\|b` |",
        "| **no** |",
        r"| \`&lt;b&gt;\` \` |",
        r"| \*\*&lt;b&gt;\*\* |",
    ]
    facts = {"inputs": "text", "loss": "focal", "dataset": "<b>.csv", "data.generated": "false"}
    told = description(
        facts, {"test/macro_f1": 0.5, "baseline/majority_accuracy": 0.5}, 0.9, {"train": {"*": 1}}
    )
    assert "on &lt;b&gt;.csv (1 pairs)." in told and r"always \*: accuracy" in told


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match=r"2 cells\. Received: 1"):
        markdown_table(["a", "b"], [["x"]])


def test_a_figure_that_is_not_there_is_null():
    records = table_records(pd.DataFrame({"name": ["a", "b"], "rows": [1, 2], "f1": [0.5, float("nan")]}))
    assert json.loads(json.dumps(records, allow_nan=False)) == [
        {"name": "a", "rows": 1, "f1": 0.5},
        {"name": "b", "rows": 2, "f1": None},
    ]
