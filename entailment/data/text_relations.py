"""How two texts relate, in numbers and in words: what a frozen sentence encoder does not tell.

What decides whether one post contradicts the other is often small: another number in the same sentence, another name,
the same words with other mentions. `relations` counts such things; `relation_words` names the words themselves,
so that a model can learn what a campaign's wording means. Both are plain Python: no weights, no state.
"""

import html
import math
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

LONGEST: Final = 1000
"""Characters of a text that are looked at: comparing two texts takes time in their product."""

_LINK: Final = re.compile(r"https?://\S+")
_HASHTAG, _MENTION = re.compile(r"#(\w+)"), re.compile(r"@(\w+)")
_CASHTAG: Final = re.compile(r"\$([A-Za-z][\w.]*)")
_NUMBER: Final = re.compile(r"\d+(?:[.,:/]\d+)*")
_DIGITS: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_EMOJI: Final = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff]")
_TIMES: Final = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun today tomorrow yesterday "
    "tonight morning afternoon evening night week weekend".split()
)
_MONTHS: Final = frozenset(
    "january february march april may june july august september october november december jan feb mar apr jun jul "
    "aug sep sept oct nov dec".split()
)
_NEGATIONS: Final = frozenset(
    "no not never none nothing without cannot can't won't don't doesn't didn't isn't aren't wasn't ain't nor neither "
    "hardly".split()
)
_FREQUENT: Final = frozenset(
    "a an the of to in on at for and or is are was were be been it its it's this that these those with from by as "
    "you your we our i my me us they their he she his her them do does did have has had will would can could just so "
    "if but not no up out about all more now get here there what who how when which new".split()
)
_OPPOSITES: Final = tuple(
    tuple(pair.split("/"))
    for pair in (
        "high/low higher/lower up/down rise/fall rises/falls increase/decrease increased/decreased positive/negative "
        "good/bad open/closed start/end started/ended win/lose won/lost wins/loses bullish/bearish buy/sell "
        "before/after sunrise/sunset morning/evening today/tomorrow first/last long/short gain/loss gains/losses "
        "above/below more/less day/night yes/no in/out on/off with/without hot/cold boys/girls home/away white/black "
        "north/south east/west"
    ).split()
)


class _Text:
    """A text taken apart: `kinds` are its pieces by kind, in order."""

    def __init__(self, text: str) -> None:
        text = html.unescape(text[:LONGEST]).replace("\u2019", "'")
        without_links = _LINK.sub(" ", text)
        body = _MENTION.sub(" ", _HASHTAG.sub(" ", without_links))
        words = _WORD.findall(body)
        lower = [word.lower() for word in words]
        self.links = set(_LINK.findall(text))
        self.clean = " ".join(without_links.split()).lower()
        self.masked = _DIGITS.sub("0", self.clean).split()
        self.tokens = [word.lower() for word in _WORD.findall(without_links)]
        self.digits = sum(character.isdigit() for character in body) / max(len(body), 1)
        self.reply = text.startswith(("RT", "@"))
        self.kinds: Mapping[str, Sequence[str]] = {
            "hashtags": [tag.lower() for tag in _HASHTAG.findall(without_links)],
            "mentions": [name.lower() for name in _MENTION.findall(without_links)],
            "cashtags": [name.lower() for name in _CASHTAG.findall(without_links)],
            "numbers": _NUMBER.findall(body),
            "names": [word.lower() for word in words if word[0].isupper() and word.lower() not in _FREQUENT],
            "content": [word for word in lower if word not in _FREQUENT and not word[0].isdigit()],
            "words": lower,
            "tokens": self.tokens,
            "emoji": _EMOJI.findall(without_links),
            "times": [word for word in lower if word in _TIMES],
            "months": [word for word in lower if word in _MONTHS],
            "negations": [word for word in lower if word in _NEGATIONS],
            "shouted": [word for word in words if len(word) > 2 and word.isupper()],
        }


def relations(text_1: str, text_2: str) -> dict[str, float]:
    """Numbers on how two texts relate, by name: always the same names, in the same order.

    Shares are between 0 and 1, counts are log(1 + count), `_1` and `_2` say which text has what the other lacks.
    """
    first, second = _parsed(text_1), _parsed(text_2)
    found: dict[str, float] = {}
    for family in (_overlaps, _links, _edits, _templates, _shapes, _numbers):
        found |= family(first, second)
    return found


def relation_words(text_1: str, text_2: str) -> list[str]:
    """The words of a pair, sorted: `u_` before one of either text, `c_` of both, `d_` of one alone, digits as 0."""
    first, second = (set(_parsed(text).tokens) for text in (text_1, text_2))
    words = {f"u_{word}" for word in first | second} | {f"c_{word}" for word in first & second}
    return sorted(words | {f"d_{_DIGITS.sub('0', word)}" for word in first ^ second})


@lru_cache(maxsize=4)
def _parsed(text: str) -> _Text:
    return _Text(text)


def _overlaps(first: _Text, second: _Text) -> dict[str, float]:
    """What both hold and what one holds alone, by kind."""
    found = {}
    for kind in first.kinds:
        a, b = set(first.kinds[kind]), set(second.kinds[kind])
        common, only_1, only_2 = len(a & b), len(a - b), len(b - a)
        found[f"{kind}_shared"] = common / len(a | b) if a | b else 0.5
        found[f"{kind}_common"] = math.log1p(common)
        found[f"{kind}_only_1"], found[f"{kind}_only_2"] = math.log1p(only_1), math.log1p(only_2)
        found[f"{kind}_replaced"] = float(only_1 > 0 and only_2 > 0)
        if kind in ("content", "tokens", "words", "hashtags"):
            found[f"{kind}_held_1"] = common / len(a) if a else 1.0
            found[f"{kind}_held_2"] = common / len(b) if b else 1.0
    only = [set(a.kinds["words"]) - set(b.kinds["words"]) for a, b in ((first, second), (second, first))]
    turned = sum(
        (one in only[0] and other in only[1]) + (other in only[0] and one in only[1])
        for one, other in _OPPOSITES
    )
    return found | {"opposites": math.log1p(turned)}


def _links(first: _Text, second: _Text) -> dict[str, float]:
    return {
        "links_common": float(bool(first.links & second.links)),
        "links_1": float(min(len(first.links), 3)),
        "links_2": float(min(len(second.links), 3)),
    }


def _edits(first: _Text, second: _Text) -> dict[str, float]:
    """How one text is edited into the other."""
    letters = SequenceMatcher(None, first.clean, second.clean, autojunk=False)
    longest = letters.find_longest_match().size
    sizes = [max(len(text.clean), 1) for text in (first, second)]
    a, b = first.tokens, second.tokens
    words = SequenceMatcher(None, a, b, autojunk=False)
    edits = [edit for edit in words.get_opcodes() if edit[0] != "equal"]
    kinds = [edit[0] for edit in edits]
    numbers = sum(
        kind == "replace" and _has_digit(a[i:j]) and _has_digit(b[k:m]) for kind, i, j, k, m in edits
    )
    found = {"letters_ratio": letters.ratio(), "words_ratio": words.ratio()}
    found |= {"longest_of_shorter": longest / min(sizes), "longest_of_longer": longest / max(sizes)}
    found |= {f"edits_{kind}": math.log1p(kinds.count(kind)) for kind in ("replace", "insert", "delete")}
    found |= {"edits": math.log1p(len(edits)), "edits_numbers": math.log1p(numbers)}
    found["edits_numbers_share"] = numbers / max(len(edits), 1)
    found["edited_words"] = math.log1p(sum(j - i + m - k for _, i, j, k, m in edits))
    return found


def _templates(first: _Text, second: _Text) -> dict[str, float]:
    """Whether both are the same text, or fill in the same template."""
    a, b = first.tokens, second.tokens
    start, end = _common_start(a, b), _common_start(a[::-1], b[::-1])
    shorter = max(min(len(a), len(b)), 1)
    masked = SequenceMatcher(None, first.masked, second.masked, autojunk=False).ratio()
    plain = SequenceMatcher(None, first.clean.split(), second.clean.split(), autojunk=False).ratio()
    found = {"start": start / shorter, "end": end / shorter, "start_words": math.log1p(start)}
    found |= {"masked_ratio": masked, "masked_gain": masked - plain}
    found["identical"] = float(first.clean == second.clean)
    found["same_words"] = float(sorted(a) == sorted(b))
    found["same_body"] = float(first.kinds["words"] == second.kinds["words"])
    for size in (3, 5):
        found[f"letters_{size}"] = _shared(_runs(first.clean, size), _runs(second.clean, size))
    for size in (2, 3):
        found[f"words_{size}"] = _shared(_runs(a, size), _runs(b, size))
    return found


def _shapes(first: _Text, second: _Text) -> dict[str, float]:
    lengths = [len(text.tokens) for text in (first, second)]
    asks, exclaims = ([float(mark in text.clean) for text in (first, second)] for mark in "?!")
    ratio = math.log((lengths[0] + 1) / (lengths[1] + 1))
    both = first.clean + second.clean
    foreign = sum(ord(letter) > 0x2FF and not _EMOJI.match(letter) for letter in both)
    return {
        "length_1": math.log1p(lengths[0]),
        "length_2": math.log1p(lengths[1]),
        "length_ratio": ratio,
        "length_difference": abs(ratio),
        "asks_1": asks[0],
        "asks_2": asks[1],
        "asks_difference": abs(asks[0] - asks[1]),
        "exclaims_difference": exclaims[0] - exclaims[1],
        "foreign_letters": foreign / max(len(both), 1),
        "reply": float(first.reply or second.reply),
        "many_mentions": float(min(len(text.kinds["mentions"]) for text in (first, second)) > 4),
    } | {
        f"{kind}_density": sum(len(text.kinds[kind]) for text in (first, second)) / (sum(lengths) + 1)
        for kind in ("hashtags", "mentions", "numbers")
    }


def _numbers(first: _Text, second: _Text) -> dict[str, float]:
    """How far the numbers are apart where both texts have equally many."""
    a, b = (_values(text.kinds["numbers"]) for text in (first, second))
    paired = bool(a) and len(a) == len(b)
    apart = [abs(math.log((x + 1) / (y + 1))) for x, y in zip(a, b, strict=True)] if paired else [0.0]
    found = {"numbers_apart": sum(apart) / len(apart), "numbers_paired": float(paired)}
    return found | {"digits_1": first.digits, "digits_2": second.digits}


def _values(numbers: Sequence[str]) -> list[float]:
    plain = [number.replace(",", "") for number in numbers]
    # Times, dates and fractions are no values.
    return [float(number) for number in plain if re.fullmatch(r"\d+(\.\d+)?", number, re.ASCII)]


def _has_digit(words: Sequence[str]) -> bool:
    return any(character.isdigit() for word in words for character in word)


def _common_start(a: Sequence[str], b: Sequence[str]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _runs(sequence: str | Sequence[str], size: int) -> set[tuple[str, ...]]:
    return set(zip(*(sequence[start:] for start in range(size)), strict=False))


def _shared(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


NAMES: Final = tuple(relations("", ""))
"""Names of the numbers, in their order."""
