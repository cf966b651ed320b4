"""Words alone: they find what a keyword rule would, and nothing where there is nothing."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from entailment.configuration.model import ModelConfiguration
from entailment.evaluation import words_baseline
from entailment.evaluation.words_baseline import (
    answers_of_words,
    rows_to_learn_from,
    words_answers,
    words_figures,
)
from entailment.records.writing import write_records
from entailment.statistics.confusion import macro_f1
from entailment.task import KINDS

OPTIONS = {"bootstrap_samples": 200, "confidence": 0.95, "seed": 42}
WORDS = [f"word{number}" for number in range(20)]


def posts(rows, seed=0, keyword="interested all go"):
    """Random words, four fifths of class 2; a pair of class 0 has the keyword in either text."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([0, 1, 2], rows, p=[0.1, 0.1, 0.8])
    texts = [[" ".join(generator.choice(WORDS, 12)) for _ in range(2)] for _ in labels]
    for row in np.flatnonzero(labels == 0):
        texts[row][generator.integers(2)] += f" {keyword}"
    return np.array(["\n".join(both) for both in texts], object), labels


def test_what_a_keyword_tells_is_found_and_no_more():
    (texts, labels), (asked, true) = posts(600), posts(300, seed=1)
    answers = words_answers(texts, labels, asked)
    assert (answers[true == 0] == 0).all() and (answers[true != 0] != 0).all()
    # The two other classes differ in nothing.
    assert np.mean(answers[true == 1] == 1) < 0.2


def test_where_labels_are_shuffled_words_are_no_better_than_the_majority():
    (texts, labels), (asked, true) = posts(600), posts(300, seed=1)
    answers = words_answers(texts, np.random.default_rng(3).permutation(labels), asked)
    majority = np.full_like(true, 2)
    assert macro_f1(true, answers, 3) < macro_f1(true, majority, 3) + 0.06


def test_threads_change_no_answer():
    texts, labels, asked = *posts(400), posts(200, seed=1, keyword="go")[0]
    answers = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            answers.append(words_answers(texts, labels, asked).tolist())
    assert answers[0] == answers[1]


def test_of_many_rows_some_are_drawn_and_all_are_answered(monkeypatch):
    (texts, labels), (asked, true) = posts(900), posts(500, seed=1)
    whole = words_answers(texts, labels, asked)
    assert rows_to_learn_from(900, 42).tolist() == list(range(900))
    monkeypatch.setattr(words_baseline, "MOST_ROWS", 400)
    assert words_answers(texts, labels, asked).tolist() == whole.tolist()
    rows = rows_to_learn_from(900, 42)
    assert len(set(rows)) == 400 and (np.diff(rows) > 0).all() and rows[-1] > 800
    assert (rows == rows_to_learn_from(900, 42)).all() and (rows != rows_to_learn_from(900, 43)).any()
    assert np.mean(words_answers(texts[rows], labels[rows], asked)[true == 0] == 0) > 0.9


@pytest.mark.parametrize("text", ["\U0001f600 \U0001f389", "", "!?"])
def test_without_a_word_the_most_frequent_class_is_answered(text):
    answers = words_answers(np.array([text] * 5, object), np.array([2, 2, 1, 2, 0]), np.array([text, "a"]))
    assert answers.tolist() == [2, 2]


def test_one_class_to_learn_from_gives_no_answers():
    assert words_answers(np.array(["a", "b"], object), np.array([1, 1]), np.array(["a"], object)) is None


def records_of(texts, labels, folder):
    """Half of the pairs in train, the rest in test, one in validation."""
    count = len(texts)
    frame = pd.DataFrame(
        {
            **{name: [f"{name}-{row}" for row in range(count)] for name in ("id_1", "id_2")},
            **dict(
                zip(
                    ("text_1", "text_2"), zip(*(text.split("\n") for text in texts), strict=True), strict=True
                )
            ),
            **{name: "" for name in ("image_path_1", "image_path_2")},
            **{name: "missing" for name in ("image_status_1", "image_status_2")},
            "label_index": labels,
            "split": ["validation", *["train"] * (count // 2), *["test"] * (count - count // 2 - 1)],
        }
    )
    config = {
        "inputs": "text",
        "images": {"size": 32, "max_pixels": 10_000},
        "records": {"rows_per_shard": 64},
    }
    write_records(frame, folder, ModelConfiguration.model_validate(config))
    return frame


def test_the_train_rows_of_the_records_are_learned_from_and_only_models_of_texts_have_them(tmp_path):
    texts, labels = posts(200)
    frame = records_of(texts, labels, tmp_path / "records")
    # The order is that of the records, whatever that of the table; a row that is not in them teaches nothing.
    extra = frame.iloc[:60].assign(id_1="other", label_index=0, split="train")
    shuffled = pd.concat([frame, extra]).sample(frac=1, random_state=1)
    answers = answers_of_words(tmp_path / "records", shuffled, KINDS, 42)
    train, test = frame["split"] == "train", frame["split"] == "test"
    expected = words_answers(texts[train], labels[train], texts[test])
    assert answers.tolist() == expected.tolist() and 0 in answers
    assert answers_of_words(tmp_path / "records", shuffled, ["image"], 42) is None


def test_the_model_stands_beside_them_with_its_paired_interval():
    true = np.tile([0, 1, 2, 2], 25)
    words = np.where(true == 1, 2, true)
    better = words_figures(true, np.stack([true, words]), words, 3, **OPTIONS)
    of_words = macro_f1(true, words, 3)
    assert better["baseline/words_macro_f1"] == of_words and better["baseline/words_accuracy"] == 0.75
    assert better["baseline/words_difference"] == pytest.approx((1 - of_words) / 2)
    assert 0 < better["baseline/words_difference_low"] < better["baseline/words_difference_high"]
    same = words_figures(true, words[None], words, 3, **OPTIONS)
    assert same["baseline/words_difference_low"] <= 0 == same["baseline/words_difference"]
    assert words_figures(true, true[None], None, 3, **OPTIONS) == {}
