"""The texts of the generated sample data: posts about an event, and posts that answer them.

A claim is an event, an axis (what is said about it) and a half of the axis. Two texts agree when all three are
equal, oppose when the half alone differs, and pass each other by when the axis differs; half of those that pass
each other by still speak of the same event.
"""

from random import Random
from typing import Final, Literal, NamedTuple

Relation = Literal["agree", "oppose", "pass", "silent"]
"""How text 2 stands to text 1; `silent` makes no statement, it only points at its picture."""

EVENTS: Final = (
    "panda show", "rocket launch", "chess tournament", "opera premiere", "rugby final", "whale tour",
    "flower parade", "bicycle race", "tattoo convention", "robot exhibition", "pumpkin festival", "dog show",
    "steam train ride", "job fair", "swimming gala", "chocolate tasting", "farmers market", "jazz concert",
    "book fair", "magic night",
)  # fmt: skip
"""Everything that posts speak of; none of it says what a picture shows."""
AXES: Final = (
    (("the {} is going ahead as planned", "the {} is on after all", "the {} takes place, as promised"),
     ("the {} has been cancelled", "they called off the {}", "no {} this year, it was scrapped")),
    (("the {} is packed, huge crowds", "thousands turned up for the {}", "full house at the {}"),
     ("the {} is deserted, nobody came", "empty seats everywhere at the {}", "almost no visitors at the {}")),
    (("the {} is free for everyone", "no ticket needed for the {}", "the {} costs nothing at all"),
     ("they charge a fortune for the {}", "the {} is terribly expensive", "outrageous prices at the {}")),
    (("people adore the {}, best ever", "the {} is wonderful, everyone smiles", "cheers for the {}, brilliant"),
     ("people hate the {}, worst ever", "the {} is awful, everyone complains", "boos for the {}, what a letdown")),
    (("the {} starts right on time", "the {} begins punctually", "no waiting, the {} began on the minute"),
     ("the {} is delayed by hours", "endless wait, the {} still has not begun", "long delay for the {}")),
)  # fmt: skip
"""What posts say about an event: two opposite halves, three wordings each."""
OPENINGS: Final = ("", "", "", "Just heard: ", "Breaking: ", "FYI: ", "Update: ", "Wow: ")
ENDINGS: Final = ("", "", ".", "!", ", see for yourself", ", as you can see", " - pic from the spot")


class Reply(NamedTuple):
    """How a second post begins and ends, and its hashtags."""

    openings: tuple[str, ...]
    closings: tuple[str, ...]
    tags: tuple[str, ...]


REPLIES: Final[dict[Relation, Reply]] = {
    "agree": Reply(
        ("Confirmed, this is true", "Yes, I can confirm it", "That's right", "Verified, it is correct"),
        ("I was there, it is true", "Fact check: correct", "Saw it myself, no doubt about it"),
        ("true", "confirmed", "verified"),
    ),
    "oppose": Reply(
        ("Fake news, this is a hoax", "Not true at all", "Wrong, that is a lie", "Debunked, the claim is false"),
        ("Stop spreading lies", "Fact check: not true", "Do not share false rumours"),
        ("fake", "hoax", "debunked"),
    ),
    "pass": Reply(
        ("Meanwhile, on another note", "By the way, something else", "Changing the subject", "In other news"),
        ("But that is another story", "A different matter, I know", "Just saying"),
        ("offtopic", "random", "bytheway"),
    ),
    "silent": Reply(
        ("Seen this?", "Look at the picture.", "No words needed", "Here is what we found", "Check the photo"),
        ("",),
        ("news", "local", "live", "today", "trending", "photo"),
    ),
}  # fmt: skip
EMOJI: Final = "😀🔥👀🎉🙌😮📸🤔✨👇"
PEOPLE: Final = ("anna", "city_desk", "mike", "lena", "newsroom", "ravi", "the_daily", "sofia")
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def _statement(event: str, axis: int, half: int, rng: Random) -> str:
    """One of the wordings of a claim."""
    return rng.choice(AXES[axis][half]).format(event)


def _post(words: str, event: str, tags: tuple[str, ...], rng: Random) -> str:
    """The words as a post: with mentions, hashtags, emoji and a link in varying number."""
    parts = [words[0].upper() + words[1:]]
    if rng.random() < 0.8:
        parts.append("#" + event.title().replace(" ", ""))
    if rng.random() < 0.4:
        parts.append("#" + rng.choice(tags))
    if rng.random() < 0.45:
        parts.append(rng.choice(EMOJI) * rng.choice((1, 1, 1, 2, 3)))
    if rng.random() < 0.15:
        parts.insert(rng.choice((0, len(parts))), f"@{rng.choice(PEOPLE)}{rng.randrange(10)}")
    if rng.random() < 0.3:
        parts.append("https://t.example/" + "".join(rng.choices(LETTERS, k=5)))
    return rng.choice((" ", " ", " ", "\n")).join(parts)


def texts(relation: Relation, rng: Random) -> tuple[str, str]:
    """Two posts of which the second stands in the given relation to the first."""
    event, axis, half = rng.choice(EVENTS), rng.randrange(len(AXES)), rng.randrange(2)
    words = rng.choice(OPENINGS) + _statement(event, axis, half, rng) + rng.choice(ENDINGS)
    first = _post(words, event, REPLIES["silent"].tags, rng)
    if relation == "oppose":
        half = 1 - half
    elif relation == "pass":
        event = rng.choice((event, rng.choice(EVENTS)))
        axis, half = (axis + rng.randrange(1, len(AXES))) % len(AXES), rng.randrange(2)
    reply = REPLIES[relation]
    words = rng.choice(reply.openings)
    if relation != "silent":
        words += f": {_statement(event, axis, half, rng)}. {rng.choice(reply.closings)}"
    return first, _post(words, event, reply.tags, rng)
