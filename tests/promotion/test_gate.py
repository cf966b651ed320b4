"""The promotion gate: every condition can fail by itself, and says its numbers."""

import dataclasses

import numpy as np
import pytest

from benchmarks.gate import promoted
from entailment.configuration.promotion import Promotion
from entailment.promotion.gate import (
    PROMOTED,
    Evidence,
    decide,
    promotion_record,
)
from entailment.reporting.promotion_page import promotion_markdown
from entailment.task import LABELS as NAMES

LABELS = np.tile(np.array([0, 1, 2, 2, 2]), 60)
"""300 rows, most of class 2."""


def probabilities(answers, sure=0.96):
    table = np.full((len(answers), 3), (1 - sure) / 2)
    table[np.arange(len(answers)), answers] = sure
    return table


def wrong_in(share, seed=0, labels=LABELS):
    """Answers of which a share is wrong."""
    generator = np.random.default_rng(seed)
    answers = labels.copy()
    rows = generator.permutation(len(labels))[: int(share * len(labels))]
    answers[rows] = (answers[rows] + 1) % 3
    return answers


def evidence(**changes):
    base = Evidence(
        labels=LABELS,
        classes=NAMES,
        challenger=probabilities(wrong_in(0.04)),
        majority=2,
        champion_version="3",
        champion=probabilities(wrong_in(0.3, seed=1)),
        unseen=np.ones(len(LABELS), bool),
        slices={"first_half": np.arange(len(LABELS)) < 150, "tiny": np.arange(len(LABELS)) < 5},
    )
    return dataclasses.replace(base, **changes)


def judged(case, **config):
    return decide(case, Promotion(**config), bootstrap_samples=300, seed=7)


def failed(decision):
    return [reason.name for reason in decision.reasons if not reason.passed]


def test_a_better_challenger_is_promoted_with_every_reason():
    decision = judged(evidence())
    assert decision.promote and failed(decision) == []
    names = [reason.name for reason in decision.reasons]
    assert names == ["rows", "every_class", "baseline", "calibration", "better", "classes", "slices"]
    slices = decision.reasons[-1]
    assert "first_half" in slices.figures and "tiny" not in slices.figures


def test_the_same_answers_are_not_better():
    case = evidence()
    decision = judged(dataclasses.replace(case, champion=case.challenger))
    assert failed(decision) == ["better"] and not decision.promote
    assert "+0.000" in decision.why and "version 3" in decision.why


def test_a_difference_that_may_be_chance_is_not_enough():
    decision = judged(evidence(champion=probabilities(wrong_in(0.05, seed=1))))
    better = next(reason for reason in decision.reasons if reason.name == "better")
    assert better.figures["difference"] > 0 and better.figures["low"] <= 0 and not better.passed


def test_a_lost_class_stops_a_better_whole():
    challenger = LABELS.copy()
    challenger[np.flatnonzero(LABELS == 1)[:40]] = 2
    champion = LABELS.copy()
    champion[LABELS == 0] = 2
    decision = judged(
        evidence(challenger=probabilities(challenger), champion=probabilities(champion), slices={})
    )
    assert failed(decision) == ["classes"] and "Implies -0." in decision.why
    assert "Implies shown to be worse by more than 0.05" in decision.why
    assert judged(
        evidence(challenger=probabilities(challenger), champion=probabilities(champion), slices={}),
        max_loss=0.9,
    ).promote


def test_a_loss_that_may_be_chance_does_not_count():
    """Of 12 rows of a class the challenger has two less right: 0.1 of F1, but nobody knows."""
    labels = np.repeat([0, 1, 2], [12, 44, 244])
    challenger, champion = labels.copy(), labels.copy()
    challenger[:2] = 2
    champion[12:42] = 2
    case = evidence(labels=labels, challenger=probabilities(challenger), champion=probabilities(champion))
    decision = judged(dataclasses.replace(case, unseen=np.ones(300, bool), slices={}))
    classes = next(reason for reason in decision.reasons if reason.name == "classes")
    assert decision.promote and classes.figures["Contradictory"] < -0.05
    assert classes.figures["Contradictory_low"] < classes.figures["Contradictory"]
    assert classes.figures["Contradictory_high"] > -0.05
    assert "Contradictory -0.0" in classes.text and "none shown to be worse by more than 0.05" in classes.text


def test_equal_models_are_seldom_promoted_much_better_ones_mostly_and_worse_ones_never():
    shares = {
        name: promoted(((name, 0.5), 500, 60, Promotion()))
        for name in ("equal", "+20 points on both", "-10 points on both")
    }
    assert [share[-1] for share in shares.values()] == pytest.approx([0.08, 0.9, 0], abs=0.08)
    better_alone, _, _, all_conditions = shares["+20 points on both"]
    assert all_conditions >= 0.95 * better_alone


def test_a_lost_slice_stops_a_better_whole():
    challenger, champion = LABELS.copy(), wrong_in(0.5, seed=1)
    part = np.arange(len(LABELS)) < 40
    champion[part] = LABELS[part]
    challenger[np.flatnonzero(part)[:8]] = (LABELS[:8] + 1) % 3
    decision = judged(
        evidence(
            challenger=probabilities(challenger), champion=probabilities(champion), slices={"links": part}
        )
    )
    assert failed(decision) == ["slices"] and "links -0." in decision.why


def test_the_majority_answer_is_no_model():
    always = probabilities(np.full(len(LABELS), 2), sure=0.6)
    decision = judged(evidence(challenger=always, champion=None, champion_version=""))
    assert failed(decision) == ["baseline"] and not decision.promote


def test_overconfidence_is_refused():
    decision = judged(evidence(challenger=probabilities(LABELS, sure=0.5)))
    assert failed(decision) == ["calibration"] and "0.500" in decision.why


def test_rows_that_both_are_compared_on_must_hold_every_class():
    decision = judged(evidence(unseen=LABELS != 2))
    assert not decision.promote and "every_class" in failed(decision)
    reason = next(reason for reason in decision.reasons if reason.name == "every_class")
    assert "no row of" in reason.text


def test_without_a_champion_the_baseline_is_what_is_to_be_beaten():
    decision = judged(evidence(champion=None, champion_version="", unseen=None))
    assert decision.promote and [r.name for r in decision.reasons] == [
        "rows",
        "every_class",
        "baseline",
        "calibration",
    ]
    assert "no champion yet" in decision.reasons[0].text


@pytest.mark.parametrize("left", [0, 99])
def test_too_few_rows_that_the_champion_never_saw(left):
    decision = judged(evidence(unseen=np.arange(len(LABELS)) < left))
    assert "rows" in failed(decision) and not decision.promote
    assert f"{left} of 300" in decision.why


def test_rows_that_the_champion_trained_on_do_not_count():
    """The champion is perfect on what it learned by heart and bad on the rest."""
    seen = np.arange(len(LABELS)) < 150
    champion = np.where(seen, LABELS, wrong_in(0.4, seed=1))
    challenger = np.where(seen, wrong_in(0.35, seed=2), wrong_in(0.1, seed=3))
    case = evidence(challenger=probabilities(challenger), champion=probabilities(champion), slices={})
    assert "better" in failed(judged(case))
    assert "better" not in failed(judged(dataclasses.replace(case, unseen=~seen)))


def test_rows_without_an_answer_of_the_champion_do_not_count():
    champion = probabilities(wrong_in(0.3, seed=1))
    champion[:250] = np.nan
    decision = judged(evidence(champion=champion))
    assert "rows" in failed(decision) and "50 of 300" in decision.why


def test_the_same_evidence_gives_the_same_decision():
    assert judged(evidence()) == judged(evidence())


def test_the_page_holds_every_decision_the_newest_first():
    decision = judged(evidence())
    common = {"by": "ann", "at": "2026-01-01T00:00:00+00:00", "previous": "3"}
    reasons = decision.as_dict()["reasons"]
    gate = promotion_record("4", PROMOTED, how="gate", why=decision.why, reasons=reasons, **common)
    person = promotion_record("4", "rolled back", how="person", why="bad", reasons=[], **common)
    page = promotion_markdown([gate, person])
    assert page.index("rolled back") < page.index("promoted")
    assert "| better | yes | macro-F1" in page and "by ann (person)" in page and "version 3" in page


def test_the_baseline_that_is_named_is_demanded_and_the_other_one_is_told():
    case = evidence(champion=None, champion_version="", words=wrong_in(0.04, seed=2))
    (reason,) = [one for one in judged(case).reasons if one.name == "baseline"]
    assert reason.passed and "of always answering NoEntailment: +0." in reason.text
    assert "words" not in reason.text and reason.figures["words_low"] < 0 < reason.figures["low"]
    refused = judged(case, baseline="words")
    assert failed(refused) == ["baseline"] and not refused.promote
    assert "of words alone: " in refused.why and "always answering" not in refused.why
    assert judged(dataclasses.replace(case, words=wrong_in(0.4)), baseline="words").promote


def test_where_words_cannot_answer_the_majority_is_demanded_and_that_is_said():
    decision = judged(evidence(champion=None, champion_version=""), baseline="words")
    assert decision.promote and "words alone (promotion.baseline) cannot answer" in decision.why
