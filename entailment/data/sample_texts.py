"""The texts of the generated sample data: posts about an event, and posts that answer them.

A claim is a subject (what the post speaks of), an axis (what it says about it) and a polarity. Two texts agree
when all three are equal, oppose when the polarity alone differs, and pass each other by when subject or axis
differs: such a pair mostly shares the other one, so that the near miss is no noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Literal

Relation = Literal["agree", "oppose", "pass", "silent"]
"""How text 2 stands to text 1; `silent` makes no statement, it only points at its picture."""


@dataclass(frozen=True)
class Claim:
    """Indices into SUBJECTS and AXES, and whether the good half of the axis is claimed."""

    subject: int
    axis: int
    positive: bool


@dataclass(frozen=True)
class Stance:
    """How a reply stands to what it answers: its first words, its last ones and its hashtags."""

    openings: Sequence[str]
    closings: Sequence[str]
    tags: Sequence[str]


SUBJECTS: Final = (
    ("PandaHouse", "the panda house", "the zoo with the pandas"),
    ("RocketLaunch", "the rocket launch", "the space rocket launch"),
    ("ChessOpen", "the chess tournament", "the chess championship"),
    ("OperaPremiere", "the opera premiere", "the new opera"),
    ("RugbyFinal", "the rugby final", "the rugby cup final"),
    ("VaccineCentre", "the vaccination centre", "the vaccine clinic"),
    ("WhaleTour", "the whale watching tour", "the whale safari"),
    ("FlowerParade", "the flower parade", "the tulip parade"),
    ("BikeRace", "the bicycle race", "the cycling race"),
    ("TattooCon", "the tattoo convention", "the tattoo fair"),
    ("SubmarineMuseum", "the submarine museum", "the museum with the submarine"),
    ("RobotExpo", "the robot exhibition", "the robotics expo"),
    ("PumpkinFarm", "the pumpkin farm", "the pumpkin harvest"),
    ("BeerGarden", "the beer garden", "the beer festival"),
    ("DogShow", "the dog show", "the show of dogs and puppies"),
    ("SteamTrain", "the steam train", "the old steam railway"),
    ("JobFair", "the job fair", "the careers fair"),
    ("SwimmingPool", "the swimming pool", "the public pool"),
    ("WrestlingGala", "the wrestling gala", "the wrestling night"),
    ("Planetarium", "the planetarium", "the planetarium with its telescope"),
    ("ChocolateTour", "the chocolate factory tour", "the chocolate workshop"),
    ("FarmerProtest", "the farmers' protest", "the protest of the farmers"),
    ("FashionWeek", "the fashion week", "the fashion show"),
    ("BloodDrive", "the blood donation", "the blood drive"),
    ("JazzNight", "the jazz concert", "the jazz night"),
    ("BookFair", "the book fair", "the fair for books and readers"),
    ("CheeseMarket", "the cheese market", "the market for cheese"),
    ("DinoShow", "the dinosaur exhibition", "the dinosaur show"),
    ("MayorDebate", "the mayoral debate", "the mayor's election debate"),
    ("YogaClass", "the yoga class", "the morning yoga"),
)
"""Hashtag and two names of everything that posts speak of; none of them says what a picture shows."""

AXES: Final = (
    (
        (
            "{s} is going ahead as planned",
            "confirmed: {s} takes place",
            "good news, {s} is on",
            "{s} will happen after all",
        ),
        (
            "{s} has been cancelled",
            "they called off {s}",
            "no {s} this year, it was scrapped",
            "{s} will not take place",
        ),
    ),
    (
        (
            "{s} is packed, huge crowds",
            "thousands turned up for {s}",
            "full house at {s}",
            "you can hardly move at {s}",
        ),
        (
            "{s} is deserted, nobody came",
            "empty seats everywhere at {s}",
            "hardly a soul at {s}",
            "almost no visitors at {s}",
        ),
    ),
    (
        (
            "{s} is free for everyone",
            "no ticket needed for {s}",
            "{s} costs nothing at all",
            "you get into {s} without paying",
        ),
        (
            "they charge a fortune for {s}",
            "{s} is terribly expensive",
            "outrageous prices at {s}",
            "{s} ruins your wallet",
        ),
    ),
    (
        (
            "people adore {s}, best ever",
            "{s} is wonderful, everyone is smiling",
            "standing ovation for {s}",
            "I love {s}, brilliant",
        ),
        (
            "people hate {s}, worst ever",
            "{s} is awful, everyone complains",
            "boos and whistles for {s}",
            "what a disappointment {s} is",
        ),
    ),
    (
        (
            "{s} is peaceful and safe",
            "no incidents at {s}, all calm",
            "police praise the calm at {s}",
            "{s} stays quiet and orderly",
        ),
        (
            "violence at {s}, people hurt",
            "riot and arrests at {s}",
            "police storm {s} after brawls",
            "fights break out at {s}",
        ),
    ),
    (
        (
            "{s} starts right on time",
            "{s} begins punctually",
            "no waiting, {s} began on the minute",
            "{s} kept to its schedule",
        ),
        (
            "{s} is delayed by hours",
            "endless wait, {s} still has not begun",
            "{s} starts hours late",
            "long delay for {s}",
        ),
    ),
)
"""What posts say about a subject: two opposite halves, four wordings each."""

OPENINGS: Final = (
    "",
    "",
    "",
    "",
    "Hearing that ",
    "Just saw: ",
    "Breaking: ",
    "FYI ",
    "So ",
    "Update: ",
    "Right now ",
    "Wow, ",
    "ok so ",
)
ASSENT: Final = Stance(
    (
        "Confirmed, this is true",
        "Yes, I can confirm it",
        "That's right, exactly",
        "Verified, it is correct",
        "Indeed, absolutely right",
        "Yes, agreed, true story",
        "I was there and it is true",
        "Fact check, correct",
    ),
    ("100% true", "so yes, it is correct", "saw it myself, all true", "no doubt about it, confirmed"),
    ("true", "confirmed", "verified"),
)
DENIAL: Final = Stance(
    (
        "Fake news, this is a hoax",
        "Not true at all, do not believe it",
        "Wrong, that is a lie",
        "Debunked, the claim is false",
        "Nonsense, a false rumour",
        "This is misleading and untrue",
        "No, false, stop spreading lies",
        "Fact check, not true",
    ),
    ("pure fiction", "please delete your lie", "so the claim was fake", "do not share false rumours"),
    ("fake", "hoax", "debunked"),
)
ASIDE: Final = Stance(
    (
        "Meanwhile, on another note",
        "Unrelated question",
        "By the way, something else",
        "Changing the subject",
        "Also, no idea whether it matters",
        "Speaking of other things",
        "Anyway, in other news",
        "Off topic",
    ),
    ("just saying", "anyone else?", "but that is another story", "asking for a friend"),
    ("offtopic", "random", "question"),
)
ENDINGS: Final = (
    "",
    "",
    "",
    ".",
    "!",
    "!!",
    " folks",
    " today",
    ", says my neighbour",
    ", see for yourself",
    " right here",
    ", look",
    " as you can see",
    " - pic from the spot",
    ". What do you think?",
)
SILENCES: Final = (
    "Seen this?",
    "Look at the picture.",
    "No words needed",
    "See image",
    "What do you make of this photo?",
    "This one.",
    "Here is what we found",
    "Just leaving this here",
    "Picture attached",
    "Check the photo",
    "Thread with photo below",
    "Have a look",
    "About that photo going round...",
    "Regarding the picture",
    "The photo speaks for itself",
)
EMOJI: Final = ["😀", "🔥", "👀", "🎉", "🙌", "😮", "📸", "🤔", "✨", "💥", "🌍", "👇", "🎈", "❗"]
TAGS: Final = [
    "news",
    "local",
    "weekend",
    "live",
    "today",
    "trending",
    "community",
    "events",
    "photo",
    "city",
]
PEOPLE: Final = [
    "anna",
    "city_desk",
    "mike",
    "lena",
    "newsroom",
    "ravi",
    "the_daily",
    "sofia",
    "oldtown",
    "weekly",
    "kofi",
]
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def _typo(words: str, rng: Random) -> str:
    """The text with two neighbouring letters swapped, one doubled or one dropped, where a word allows it."""
    spots = [i for i in range(1, len(words) - 2) if words[i - 1 : i + 3].isalpha()]
    if not spots:
        return words
    i = rng.choice(spots)
    return rng.choice(
        (
            words[:i] + words[i + 1] + words[i] + words[i + 2 :],
            words[:i] + words[i] + words[i:],
            words[:i] + words[i + 1 :],
        )
    )


def _dressed(words: str, claim: Claim, tags: Sequence[str], rng: Random) -> str:
    """The words as a post: perhaps a typo, then mentions, hashtags, emoji and a link in varying number."""
    if rng.random() < 0.12:
        words = _typo(words, rng)
    parts = [words]
    if rng.random() < 0.9:
        parts.append("#" + SUBJECTS[claim.subject][0])
    if rng.random() < 0.4:
        parts.append("#" + rng.choice(tags))
    if rng.random() < 0.45:
        parts.append(rng.choice(EMOJI) * rng.choice((1, 1, 1, 2, 3)))
    if rng.random() < 0.15:
        mention = f"@{rng.choice(PEOPLE)}{rng.randrange(10)}"
        parts.insert(rng.choice((0, len(parts))), mention)
    if rng.random() < 0.3:
        parts.append("https://t.example/" + "".join(rng.choices(LETTERS, k=5)))
    return rng.choice((" ", " ", " ", "\n", "\n\n")).join(parts)


def _statement(claim: Claim, rng: Random) -> str:
    """One of the claim's many wordings."""
    subject = rng.choice(SUBJECTS[claim.subject][1:])
    return rng.choice(AXES[claim.axis][0 if claim.positive else 1]).format(s=subject)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _reply(stance: Stance, claim: Claim, statement: str, rng: Random) -> str:
    """A post that takes a stance and makes or repeats a statement."""
    words = f"{rng.choice(stance.openings)}: {statement}"
    if rng.random() < 0.6:
        words += f". {_capital(rng.choice(stance.closings))}"
    return _dressed(words, claim, stance.tags, rng)


def _beside_the_point(claim: Claim, rng: Random) -> str:
    """An aside on another side of the subject or on another subject, or a stance on what nobody said."""
    subject = (claim.subject + rng.randrange(1, len(SUBJECTS))) % len(SUBJECTS)
    axis = (claim.axis + rng.randrange(1, len(AXES))) % len(AXES)
    stance, other = ASIDE, Claim(rng.choice((claim.subject, subject)), axis, rng.random() < 0.5)
    if rng.random() < 0.07:
        stance, other = rng.choice((ASSENT, DENIAL)), replace(claim, subject=subject)
    return _reply(stance, other, _statement(other, rng), rng)


def texts(relation: Relation, rng: Random) -> tuple[str, str]:
    """Two posts of which the second stands in the given relation to the first."""
    claim = Claim(rng.randrange(len(SUBJECTS)), rng.randrange(len(AXES)), rng.random() < 0.5)
    statement = _statement(claim, rng)
    first = _capital(rng.choice(OPENINGS) + statement + rng.choice(ENDINGS))
    if relation == "agree":
        repeated = statement if rng.random() < 0.5 else _statement(claim, rng)
        second = _reply(ASSENT, claim, repeated, rng)
    elif relation == "oppose":
        opposite = replace(claim, positive=not claim.positive)
        second = _reply(DENIAL, opposite, _statement(opposite, rng), rng)
    elif relation == "pass":
        second = _beside_the_point(claim, rng)
    else:
        second = _dressed(rng.choice(SILENCES), claim, TAGS, rng)
    return _dressed(first, claim, TAGS, rng), second
