"""Rows that variants answer differently: which are shown, how many there are, and what is said of each."""

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.model import ModelConfiguration
from entailment.records.writing import write_records
from entailment.task import LABELS
from entailment.trials import disagreements as module
from entailment.trials.disagreements import disagreements

ROWS = 8
CONFIG = {"inputs": "text", "images": {"size": 32, "max_pixels": 10_000}, "records": {"rows_per_shard": 4}}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "written"
    every = range(ROWS + 2)
    frame = pd.DataFrame(
        {
            **{name: [f"{name}-{row - 2}" for row in every] for name in ("id_1", "id_2", "text_1", "text_2")},
            **{name: "" for name in ("image_path_1", "image_path_2")},
            **{name: "missing" for name in ("image_status_1", "image_status_2")},
            "label_index": [row % 3 for row in every],
            "split": ["train", "validation", *["test"] * ROWS],
        }
    )
    write_records(frame, folder, ModelConfiguration.model_validate(CONFIG))
    return folder


def answers(*seeds):
    return np.stack([np.eye(3)[list(chosen)] * 0.4 + 0.2 for chosen in seeds])


GIVEN = {
    "best": answers([0, 1, 2, 0, 0, 0, 0, 0]),
    "next": answers([0, 1, 2, 0, 0, 0, 0, 1]),
    "last": answers([0, 1, 2, 1, 0, 0, 0, 2], [0, 1, 2, 1, 0, 0, 1, 2], [0, 1, 2, 1, 0, 0, 1, 2]),
}


def test_rows_on_which_the_best_two_differ_come_first(records):
    found = disagreements(records, GIVEN, ("best", "next"), LABELS)
    assert [row.row for row in found.rows] == [7, 3, 6] and found.total == 3
    assert found.by_pair == {("best", "next"): 1, ("best", "last"): 3, ("next", "last"): 3}
    first = found.rows[0]
    assert (first.sample.ids, first.sample.text_2) == (("id_1-7", "id_2-7"), "text_2-7")
    assert first.sample.label == LABELS[(7 + 2) % 3] and first.sample.image_1 is None
    named = {name: answer for name, (answer, _) in first.answers.items()}
    assert named == {"best": "Contradictory", "next": "Implies", "last": "NoEntailment"}
    # Two seeds of three: the mean decides.
    assert found.rows[2].answers["last"] == ("Implies", pytest.approx((2 * 0.6 + 0.2) / 3))


def test_no_more_are_shown_than_a_page_bears_and_all_are_counted(records, monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 2)
    found = disagreements(records, GIVEN, ("best", "next"), LABELS)
    assert [row.row for row in found.rows] == [7, 3] and found.total == 3


def test_where_all_agree_or_one_is_alone_there_is_nothing_to_show(records):
    alike = {"a": GIVEN["best"], "b": GIVEN["best"]}
    assert disagreements(records, alike, ("a", "b"), LABELS).by_pair == {("a", "b"): 0}
    alone = disagreements(records, {"a": GIVEN["best"]}, ("a",), LABELS)
    nothing = ([], 0, {})
    assert (alone.rows, alone.total, alone.by_pair) == nothing
    none = disagreements(records, {}, (), LABELS)
    assert (none.rows, none.total, none.by_pair) == nothing
