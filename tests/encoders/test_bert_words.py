import hashlib
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entailment.encoders import bert_words
from entailment.encoders.build import preprocess_module

HARD = {
    "full width": "ＡＢＣ １２３ ｆｕｌｌ！ ｶﾞ",
    "ligatures": "ﬁsh oﬀer ﬆone ĳ ǆ ß ẞ",
    "superscripts": "x² H₂O 1ˢᵗ ºC ªa",
    "styled letters": "𝗛𝗲𝗹𝗹𝗼 𝓦𝓸𝓻𝓵𝓭 ℍ ⓐ 🅰 𝟙𝟚",
    "signs": "Switch™ ½ ¼cup №5 ℃ … ‼ ⁉ € ® © ㎏ Ⅷ ⅷ",
    "Turkish": "İstanbul ISPARTA ıraz İİ",
    "Greek": "ΟΔΟΣ ΣΣ Σ Σ. ΑΣ'Α ΑΣ' ὈΔΥΣΣΕΎΣ; ΑΣ\u00adΑ σας ΑΣ\u0301 ΑΣΑ΢",
    "ideographs": "東京tower 㐀a豈\U00020000b\U0002f800 かな カナ 한국어 한",
    "marks": "e\u0301 é à̖́ Zalgo͑̈́ ñandú ไทย हिन्दी עִבְרִית عَرَبِيّ",
    "emoji": "👩‍👩‍👧‍👦ok ❤️ ❤ 👍🏽 🏴\U000e0067\U000e0062\U000e007f 1️⃣ ☺\ufe0f",
    "controls": "a\x00b\x01c\x7fd\x85e\ufffdf\x0bg\x0ch\x1ci\tj\nk\rl",
    "blanks": "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u1680g\u202fh",
    "no width": "soft\u00adhyphen zero\u200bwidth \ufeffbom l\u200dm r\u200el \u2060w",
    "punctuation": "don't “quote” ‘x’ a—b a–b ¿qué? «a» ¡a! $5+5=10 a_b ^ ` ~ | < > ≠ ; · ［ ] §5 ¶ 3·4",
    "specials": "[CLS] a [SEP] [UNK] ##a [unused1]",
    "long": f"{'a' * 100} {'b' * 101} {'c' * 200} {'d' * 201} {'e' * 200}!{'f' * 300} {'é' * 201} {'g' * 900}",
    "long in bytes": f"{'ก' * 70} {'ก' * 200} {'ก' * 201} {'𝗛' * 200} {'𝗛' * 201} {'東' * 300} {'한' * 70}",
    "unassigned": "0\U00011f43 a\ufada0 a\U000e1000b \ue000 \U0010ffffc \u0378",
    "nothing": " \u200b ",
    "empty": "",
}
IDEOGRAPHS = [
    *range(0x4E00, 0xA000),
    *range(0x3400, 0x4DC0),
    *range(0x20000, 0x2A6E0),
    *range(0x2A700, 0x2CEB0),
]
IDEOGRAPHS = {*IDEOGRAPHS, *range(0xF900, 0xFB00), *range(0x2F800, 0x2FA20)}


def published(text: str, vocabulary: set[str]) -> list[str]:
    """The tokens of an uncased BERT, step by step as its authors' tokenizer takes them."""
    cleaned = ""
    for character in text:
        category = unicodedata.category(character)
        if character in "\t\n\r" or category == "Zs":
            cleaned += " "
        elif character not in "\0\ufffd" and category not in ("Cc", "Cf"):
            cleaned += f" {character} " if ord(character) in IDEOGRAPHS else character
    tokens = []
    for blank_free in cleaned.split():
        accents = unicodedata.normalize("NFD", blank_free.lower())
        plain = [character for character in accents if unicodedata.category(character) != "Mn"]
        for word in "".join(f" {one} " if is_punctuation(one) else one for one in plain).split():
            tokens += pieces(word, vocabulary)
    return tokens


def is_punctuation(character: str) -> bool:
    return character in "$+<=>^`|~" or unicodedata.category(character).startswith("P")


def pieces(word: str, vocabulary: set[str]) -> list[str]:
    found, start = [], 0
    while start < len(word) <= 200:
        ends = range(len(word), start, -1)
        marked = [("##" if start else "") + word[start:end] for end in ends]
        at = next((place for place, piece in enumerate(marked) if piece in vocabulary), None)
        if at is None:
            return ["[UNK]"]
        found.append(marked[at])
        start = ends[at]
    return found or ["[UNK]"]


KNOWN = sorted(
    {*"".join(HARD.values()), *"".join(HARD.values()).lower(), *"™½²¼№…ς'", *map(chr, range(33, 127))}
)
KNOWN = [one for one in KNOWN if one not in "𝗛\ufffd\ue000\u0378" and not one.isspace() and one.isprintable()]
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *KNOWN,
    *(f"##{one}" for one in KNOWN),
    "tower",
    "##hy",
    "aa",
]


@pytest.fixture(scope="module")
def tokens():
    tokenize, known = preprocess_module(VOCABULARY).tokenize, set(VOCABULARY)

    def check(texts: list[str]) -> None:
        got = [[VOCABULARY[place] for place in ids] for ids in tokenize(texts).to_list()]
        assert got == [published(text, known) for text in texts]

    return check


@pytest.mark.parametrize("kind", HARD)
def test_the_tokens_of_hard_texts_are_those_of_the_published_tokenizer(tokens, kind: str) -> None:
    tokens([HARD[kind]])


@given(
    texts=st.lists(
        st.text(st.one_of(st.sampled_from(KNOWN), st.sampled_from(" '.Σσ\u0301\u00ad"), st.characters()))
    )
)
@settings(max_examples=200, deadline=None)
def test_the_tokens_of_any_text_are_those_of_the_published_tokenizer(tokens, texts: list[str]) -> None:
    tokens([text.encode("utf-8", "replace").decode() for text in texts])


def test_the_table_is_one_whatever_unicode_python_has() -> None:
    """That of Python 3.11, 3.12 and 3.13, which assign other characters."""
    characters, begins = bert_words._table()
    found = [hashlib.sha256(part.tobytes()).hexdigest()[:16] for part in (characters, begins)]
    assert found == ["9981fa9c0b10fe06", "53222607bdd06651"]


def test_what_looks_alike_is_kept_apart() -> None:
    """Written down, so that the reference above is held too."""
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *"abi™½²…ς",
        *(f"##{one}" for one in "b™²ς"),
        "tm",
        "##tm",
        ".",
    ]
    ids = preprocess_module(vocabulary).tokenize(["Ab™ ½ a² İ… ΒΣ a\0b"]).to_list()[0]
    tokens = [vocabulary[place] for place in ids]
    assert tokens == ["a", "##b", "##™", "½", "a", "##²", "i", "…", "[UNK]", "a", "##b"]
