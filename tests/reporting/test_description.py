"""What a run and a version are called and said to be."""

import pandas as pd
import pytest

from entailment.reporting.description import dataset_title, description, title
from entailment.reporting.evaluation_page import rows_to_read

FACTS = {
    "inputs": "text",
    "loss": "focal",
    "dataset": "mine",
    "dataset.version": "2",
    "data.generated": "true",
}
COUNTS = {"train": {"yes": 9, "no": 3}, "validation": {"yes": 1, "no": 1}, "test": {"yes": 1000, "no": 400}}


def test_four_lines_say_what_it_is_and_how_good():
    metrics = {"test/macro_f1": 0.5, "test/macro_f1_low": 0.4, "test/macro_f1_high": 0.6}
    metrics |= {"test/accuracy": 0.75, "baseline/majority_accuracy": 0.7, "baseline/majority_macro_f1": 0.25}
    metrics |= {"baseline/words_macro_f1": 0.3}
    assert description(FACTS, metrics, 0.9, COUNTS, "More.").split("  \n") == [
        "Texts alone, focal loss, on mine@2 (1,414 pairs; GENERATED data).",
        "Test: macro-F1 0.500 (90% interval 0.400 to 0.600), accuracy 0.750, on 1,400 rows.",
        "Baselines: always yes: macro-F1 0.250, accuracy 0.700; words alone: macro-F1 0.300.",
        "More.",
    ]


def test_what_is_not_known_is_left_out():
    facts = FACTS | {"inputs": "multimodal", "data.generated": "false"}
    lines = description(facts, {"pooled/macro_f1": 0.5}, 0.95).split("  \n")
    assert lines[0].startswith("Texts, images") or lines[0].startswith("Texts and images")
    assert lines[0].endswith("on mine@2.") and lines[1:] == ["Validation folds together: macro-F1 0.500."]
    pooled = {"pooled/macro_f1": 0.5, "pooled/macro_f1_low": 0.4, "pooled/macro_f1_high": 0.6}
    pooled |= {"pooled/accuracy": 0.7, "pooled/majority_accuracy": 0.6}
    assert description(facts, pooled, 0.95).split("  \n")[1:] == [
        "Validation folds together: macro-F1 0.500 (95% interval 0.400 to 0.600), accuracy 0.700.",
        "Baselines: always the majority class: accuracy 0.600.",
    ]


def test_titles_are_names_that_zenml_and_mlflow_take():
    assert title("text cross_entropy", dataset_title("mine", 3)) == "text cross entropy mine@3"
    odd = title("image focal", 'a{0}"%/:.csv' + "x" * 100)
    assert odd.startswith("image focal a_0______csvx") and len(odd) == 60


def test_the_rows_to_read_begin_with_wrong_answers_and_are_not_too_many():
    ids = [str(number) for number in range(1200)]
    answers = {"label": ["yes"] * 1200, "p_yes": 0.9, "error": "", "true_label": ["yes"] * 1199 + ["no"]}
    table = pd.DataFrame({"id_1": ids, "id_2": ids} | answers)
    splits = pd.DataFrame({"id_1": ids, "id_2": ids, "text_1": ids, "text_2": "b" * 600, "split": "test"})
    rows = rows_to_read(table, pd.concat([splits, splits]), ["yes"])
    assert len(rows) == 1000 and rows["pair"].tolist()[:3] == [
        f"{number}\n{'b' * 500}" for number in (1199, 0, 1)
    ]
    assert list(rows) == ["pair", "label", "true_label", "p_yes", "id_1", "id_2"]
    with pytest.raises(ValueError, match="'1199', '1199'"):
        rows_to_read(table, splits.head(1199), ["yes"])
