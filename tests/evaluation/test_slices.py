import json

import numpy as np
import pandas as pd
import pytest

from entailment.evaluation.slices import (
    FEWEST_ROWS,
    SLICES,
    evaluated_pairs,
    slice_columns,
    slice_table,
)
from entailment.records.index import RecordsIndex
from entailment.reporting.evaluation_page import slices_markdown
from entailment.reporting.markdown import table_records
from entailment.statistics.confusion import macro_f1
from entailment.task import LABELS as NAMES

OPTIONS = {"majority": 2, "bootstrap_samples": 200, "confidence": 0.95, "seed": 42}
LONG = "The bridge across the river opened again on Monday morning"


def pair(text_1=LONG, text_2=LONG, image_1="", image_2="", present=(True, True)):
    images = {"image_1": image_1, "image_2": image_2}
    seen = {"image_present_1": present[0], "image_present_2": present[1]}
    return pd.DataFrame([{"text_1": text_1, "text_2": text_2, **images, **seen}])


def pairs(rows):
    return pd.concat([pair(f"{LONG} {i}", f"{LONG} {i % 7}") for i in range(rows)], ignore_index=True)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("has_url", pair(text_2="see https://t.co/x"), pair(text_2="see t.co and http")),
        ("has_url", pair(text_1="WWW.example.org"), pair(text_1="")),
        ("near_identical_texts", pair(), pair(text_2="Something else happened elsewhere")),
        (
            "near_identical_texts",
            pair(
                "Storm hits &amp; floods the town http://a.b/1", "storm HITS & floods the town http://c.d/2"
            ),
            pair("", ""),
        ),
        ("dissimilar_texts", pair(text_2="Cats sleep"), pair()),
        ("dissimilar_texts", pair(text_2="Cats sleep"), pair(text_2="https://t.co/only")),
        ("different_numbers", pair("12 dead", "13 dead"), pair("12 dead", "12 dead")),
        ("different_numbers", pair("1,200 in 2020", "1,300 in 2020"), pair("12 dead in 2020", "12 dead")),
        ("different_numbers", pair("5 a", "6 a"), pair("a https://t.co/5", "a https://t.co/6")),
        ("short_text", pair(text_1="one two three four five six 7"), pair(text_1="1 2 3 4 5 6 7 8")),
        ("short_text", pair(text_2="a b c d e f g https://t.co/a-b-c-d"), pair()),
        ("image_missing", pair(present=(True, False)), pair()),
        ("image_missing", pair(present=(False, False)), pair()),
        (
            "same_image_domain",
            pair(image_1="http://pbs.twimg.com/media/a.jpg", image_2="https://PBS.twimg.com/b.png"),
            pair(image_1="http://pbs.twimg.com/a.jpg", image_2="http://example.org/a.jpg"),
        ),
        ("same_image_domain", pair(image_1="//a.b/c", image_2="//a.b/d"), pair(image_1="", image_2="")),
        (
            "same_image_domain",
            pair(image_1="http://a.b:80/c", image_2="http://a.b/c"),
            pair(image_1="http://[", image_2="http://["),
        ),
    ],
)
def test_what_is_inside_a_slice(name, inside, outside):
    assert SLICES[name](inside).tolist() == [True]
    assert SLICES[name](outside).tolist() == [False]


@pytest.mark.parametrize("name", SLICES)
def test_every_slice_gives_a_mask_says_what_it_is_and_has_its_function_s_name(name):
    assert SLICES[name].__name__ == name and SLICES[name].__doc__.endswith(".")
    frame = pairs(23)
    mask = SLICES[name](frame)
    assert mask.dtype == bool and mask.shape == (23,)
    assert SLICES[name](frame.head(0)).shape == (0,)
    turned = SLICES[name](frame.iloc[::-1].set_axis([f"r{i}" for i in range(23)]))
    assert turned.tolist() == mask[::-1].tolist()


def judged(rows, wrong=0.3, seed=0):
    generator = np.random.default_rng(seed)
    true = generator.choice(3, rows, p=[0.2, 0.2, 0.6])
    return true, np.where(generator.random(rows) < wrong, generator.integers(0, 3, rows), true)


def test_figures_are_those_of_the_rows_inside():
    frame = pairs(60)
    frame.loc[:24, "text_1"] = "short one"
    true, predicted = judged(60)
    table = slice_table(frame, true, predicted, labels=NAMES, **OPTIONS).set_index("slice")
    assert list(table.index) == ["all", *SLICES]
    short, whole = table.loc["short_text"], table.loc["all"]
    assert (short["rows"], whole["rows"]) == (25, 60)
    assert short["accuracy"] == np.mean(true[:25] == predicted[:25])
    assert short["macro_f1"] == macro_f1(true[:25], predicted[:25], 3)
    assert short["majority_accuracy"] == np.mean(true[:25] == 2)
    assert short["macro_f1_low"] < short["macro_f1"] < short["macro_f1_high"]
    by_class = short[["rows_Contradictory", "rows_Implies", "rows_NoEntailment"]].tolist()
    assert by_class == np.bincount(true[:25], minlength=3).tolist()
    assert whole["macro_f1"] == macro_f1(true, predicted, 3)


def test_few_rows_show_their_number_and_no_figure():
    frame = pairs(40)
    frame.loc[: FEWEST_ROWS - 2, "text_1"] = "short one"
    frame.loc[: FEWEST_ROWS - 1, "image_present_1"] = False
    table = slice_table(frame, *judged(40), labels=NAMES, **OPTIONS)
    rows = {row["slice"]: row for row in table_records(table)}
    assert rows["short_text"]["rows"] == FEWEST_ROWS - 1
    assert rows["short_text"]["macro_f1"] is None and rows["short_text"]["accuracy"] is None
    assert rows["image_missing"]["rows"] == FEWEST_ROWS
    assert rows["image_missing"]["macro_f1"] is not None
    assert rows["has_url"]["rows"] == 0


def test_records_and_markdown_hold_the_whole_table():
    table = slice_table(pairs(40), *judged(40), labels=NAMES, **OPTIONS)
    records = table_records(table)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert [list(row) for row in records] == [slice_columns(NAMES)] * len(table)
    lines = slices_markdown(records).splitlines()
    assert len(lines) == len(table) + 2 and len({line.count("|") for line in lines}) == 1
    everything = next(line for line in lines if line.startswith("| all "))
    assert f"{records[0]['macro_f1']:.3f}" in everything and "| 40 |" in everything
    assert "no rows" in next(line for line in lines if line.startswith("| has_url "))


def test_the_same_seed_gives_the_same_table():
    frame, answers = pairs(40), judged(40)
    first, again = (slice_table(frame, *answers, labels=NAMES, **OPTIONS) for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def splits(rows=6):
    return pd.DataFrame(
        {
            **{name: [f"{name}-{i}" for i in range(rows)] for name in ("id_1", "id_2", "text_1", "text_2")},
            **{name: [f"http://{name}/{i}" for i in range(rows)] for name in ("image_1", "image_2")},
            "split": ["train", *["test"] * (rows - 1)],
        }
    )


def index(numbers):
    ids = pd.DataFrame({name: [f"{name}-{i}" for i in numbers] for name in ("id_1", "id_2")}, dtype="str")
    keys = np.array([[b"x" * 16, b"" if i % 2 else b"y" * 16] for i in numbers], "S16")
    return RecordsIndex(ids, np.zeros(len(numbers), np.int64), {"text": keys, "image": keys})


def test_pairs_are_those_of_the_records_in_their_order():
    """Writing records may have dropped some rows."""
    frame = evaluated_pairs(index([4, 1, 2]), splits())
    assert frame["text_1"].tolist() == ["text_1-4", "text_1-1", "text_1-2"]
    assert frame["image_2"].tolist() == ["http://image_2/4", "http://image_2/1", "http://image_2/2"]
    assert frame["image_present_1"].tolist() == [True, True, True]
    assert frame["image_present_2"].tolist() == [True, False, True]


def test_a_repeated_pair_stays_repeated():
    table = pd.concat([splits(), splits().iloc[[3]]], ignore_index=True)
    assert evaluated_pairs(index([3, 3, 5]), table)["text_2"].tolist() == [f"text_2-{i}" for i in (3, 3, 5)]


def test_a_pair_that_is_not_in_the_table_is_named():
    with pytest.raises(ValueError, match="id_1-0"):
        evaluated_pairs(index([1, 0]), splits())
