import pytest

from entailment.data.text_relations import LONGEST, NAMES, relation_words, relations

NEWS = "LIVE: 24,375 new cases in Delhi on Monday! #covid @WHO https://t.co/abc"


def test_equal_texts_share_everything():
    found = relations(NEWS, NEWS)
    assert found["identical"] == found["letters_ratio"] == found["tokens_shared"] == found["start"] == 1
    assert found["edits"] == found["numbers_apart"] == found["numbers_replaced"] == 0
    assert found["links_common"] == 1


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("LIVE: 25,462 new cases in Delhi on Monday! #covid @WHO", "numbers_replaced"),
        ("LIVE: 24,375 new cases in Mumbai on Monday! #covid @WHO", "names_replaced"),
        ("LIVE: 24,375 new cases in Delhi on Sunday! #covid @WHO", "times_replaced"),
        ("LIVE: 24,375 new cases in Delhi on Monday! #vaccine @WHO", "hashtags_replaced"),
        ("LIVE: 24,375 new cases in Delhi on Monday! #covid @NHS", "mentions_replaced"),
    ],
)
def test_what_was_replaced_is_told(other, name):
    replaced = {key for key, value in relations(NEWS, other).items() if key.endswith("_replaced") and value}
    assert name in replaced
    kinds = {"numbers_replaced", "times_replaced", "hashtags_replaced", "mentions_replaced"}
    assert replaced & kinds == {name} & kinds


def test_the_same_template_with_other_numbers():
    found = relations("Ascend W:676 M:2.333", "Ascend W:780 M:3.276")
    assert found["masked_ratio"] == 1 > found["letters_ratio"] and found["masked_gain"] > 0
    assert found["numbers_apart"] > 0 and found["numbers_paired"] == 1


def test_opposites_are_found_in_both_directions():
    assert (
        relations("prices rise", "prices fall")["opposites"] == relations("a fall", "a rise")["opposites"] > 0
    )
    assert relations("prices rise", "prices rise and fall")["opposites"] == 0


def test_swapping_the_texts_swaps_what_is_said_of_each():
    one, other = relations("a b c", "c d"), relations("c d", "a b c")
    assert one["tokens_only_1"] == other["tokens_only_2"] > one["tokens_only_2"]
    assert one["tokens_shared"] == other["tokens_shared"]


@pytest.mark.parametrize("pair", [("", ""), ("", "a"), ("💥" * 3, "www"), ("\ud83d", "#"), ("1/0", "１２")])
def test_every_pair_gives_the_same_finite_numbers(pair):
    found = relations(*pair)
    assert tuple(found) == NAMES and all(abs(value) < 1e6 for value in found.values())


def test_words_say_where_they_stand():
    words = ["c_today", "c_up", "d_0", "u_12", "u_13", "u_today", "u_up"]
    assert relation_words("Up 12 today", "up 13 today") == words


def test_only_the_beginning_of_a_long_text_is_looked_at():
    long = "word " * LONGEST
    assert relations(long + "end", long) == relations(long, long)
