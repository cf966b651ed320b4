"""The embedded default data set: generated pairs of posts with pictures, the same bytes for the same seed.

What decides a pair is one line of CASES. Texts agree, oppose, pass each other by or are silent; pictures show
the same scene, another one, one with a fact checker's mark on it, or nothing but a screenshot of a post. Most
cases need both: agreeing texts entail only under one scene, opposing ones contradict only there. A screenshot
leaves the decision to the texts, a silent post leaves it to the pictures. Every NoEntailment case is one step
away from another label.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from entailment.data import schema
from entailment.data.sample_photos import Overlay, encoded, photograph, screenshot
from entailment.data.sample_scenes import MOMENTS, PLACES, THINGS, Scene
from entailment.data.sample_texts import LETTERS, Relation, texts
from entailment.errors import DataError
from entailment.files import write_json, written_aside

if TYPE_CHECKING:
    from PIL import Image

GENERATOR_VERSION: Final = 1
"""Raised whenever the same seed gives other bytes."""

SHARES: Final = {"NoEntailment": 70, "Implies": 15, "Contradictory": 15}
"""Per cent of the pairs in each class."""

FEWEST_PAIRS: Final = 20
PNG_SHARE: Final = 0.15


@dataclass(frozen=True)
class Case:
    """One way in which a pair comes to its label; `weight` is its part of the label's pairs."""

    label: str
    relation: Relation
    same_scene: bool
    second: Overlay | Literal["screenshot"]
    weight: int


CASES: Final = (
    Case("Implies", "agree", True, "plain", 50),
    Case("Implies", "agree", False, "screenshot", 20),
    Case("Implies", "silent", True, "confirmed", 30),
    Case("Contradictory", "agree", False, "plain", 45),
    Case("Contradictory", "oppose", True, "plain", 10),
    Case("Contradictory", "oppose", False, "screenshot", 15),
    Case("Contradictory", "silent", True, "refuted", 30),
    Case("NoEntailment", "pass", True, "plain", 34),
    Case("NoEntailment", "pass", False, "plain", 30),
    Case("NoEntailment", "pass", False, "screenshot", 16),
    Case("NoEntailment", "silent", True, "plain", 10),
    Case("NoEntailment", "silent", False, "plain", 10),
)


def _split(total: int, weights: Sequence[int]) -> list[int]:
    """`total` shared out by the weights; what is left goes to the largest remainders, the earlier on a tie."""
    counts = [total * weight // sum(weights) for weight in weights]
    remainders = [total * weight % sum(weights) for weight in weights]
    for index in sorted(range(len(weights)), key=lambda i: -remainders[i])[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _cases(pairs: int, rng: Random) -> list[Case]:
    """The case of each row, in shuffled order."""
    drawn: list[Case] = []
    for label, count in zip(SHARES, _split(pairs, list(SHARES.values())), strict=True):
        cases = [case for case in CASES if case.label == label]
        for case, part in zip(cases, _split(count, [case.weight for case in cases]), strict=True):
            drawn += [case] * part
    rng.shuffle(drawn)
    return drawn


def _ids(count: int, rng: Random) -> list[str]:
    """Distinct ids of 19 digits, as large as today's: no float holds them exactly."""
    return [str(1_330_000_000_000_000_000 + number) for number in rng.sample(range(10**17), count)]


def _random_scene(rng: Random) -> Scene:
    return Scene(rng.choice(list(PLACES)), rng.choice(MOMENTS), rng.choice(list(THINGS)), rng.getrandbits(32))


def _other_scene(scene: Scene, rng: Random) -> Scene:
    """A scene that shares at most one thing with `scene`."""
    other = _random_scene(rng)
    while other.place == scene.place or other.moment == scene.moment or other.thing == scene.thing:
        other = _random_scene(rng)
    if rng.random() < 0.5:
        return other
    return rng.choice(
        (
            replace(other, moment=scene.moment),
            replace(other, thing=scene.thing),
            replace(other, place=scene.place),
        )
    )


def _image_url(extension: str, rng: Random) -> str:
    """A URL as social networks write them: some with a query, some with the extension in capitals."""
    name = "".join(rng.choices(LETTERS + LETTERS.upper() + "0123456789_-", k=15))
    shown = extension.upper() if rng.random() < 0.05 else extension
    query = f"?format={extension}&name=small" if rng.random() < 0.2 else ""
    return f"https://pbs.example.com/media/{name}.{shown}{query}"


def _pictures(case: Case, rng: Random) -> Iterator["Image.Image"]:
    """The pictures of the pair's two posts."""
    if case.second == "screenshot":
        yield screenshot(rng)
        yield screenshot(rng)
        return
    scene = _random_scene(rng)
    yield photograph(scene, "plain", rng)
    yield photograph(scene if case.same_scene else _other_scene(scene, rng), case.second, rng)


def _row(case: Case, ids: Sequence[str], said: set[str], images: Path, rng: Random) -> dict[str, str]:
    """Writes the two image files of a pair; returns its row of the table. `said` holds every text so far."""
    row = {schema.LABEL: case.label}
    posts = texts(case.relation, rng)
    while len({*posts} - said) < len(posts):
        posts = texts(case.relation, rng)
    said.update(posts)
    for side, picture in enumerate(_pictures(case, rng)):
        extension = "png" if rng.random() < PNG_SHARE else "jpg"
        (images / f"{ids[side]}.{extension}").write_bytes(encoded(picture, extension, rng))
        row[schema.ID[side]] = ids[side]
        row[schema.TEXT[side]] = posts[side]
        row[schema.IMAGE_URL[side]] = _image_url(extension, rng)
    return row


def _write(folder: Path, pairs: int, seed: int) -> None:
    rng = Random(seed)
    images = folder / "images"
    images.mkdir(parents=True)
    ids = _ids(2 * pairs, rng)
    said: set[str] = set()
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as handle:
        table = csv.DictWriter(handle, schema.PAIR_COLUMNS, lineterminator="\n")
        table.writeheader()
        for index, case in enumerate(_cases(pairs, rng)):
            table.writerow(_row(case, ids[2 * index : 2 * index + 2], said, images, rng))
    facts = {"generated": True, "generator_version": GENERATOR_VERSION, "seed": seed, "pairs": pairs}
    write_json(folder / "generated.json", facts)


def write_sample(folder: Path, pairs: int = 1400, seed: int = 42) -> None:
    """Makes `folder` a data set of `pairs` generated pairs; takes about 4 ms an image.

    Written are `pairs.csv` (columns schema.PAIR_COLUMNS, UTF-8), `images/<id>.<jpg|png>` (two a pair, RGB,
    longer side 160 to 320 pixels) and `generated.json`. The same arguments give the same bytes. The folder is
    whole or absent: an older one stays until the new one is complete.

    Raises:
        DataError: `pairs` is too small to hold every label, or the folder cannot be written.
    """
    if pairs < FEWEST_PAIRS:
        raise DataError(f"The sample data needs at least {FEWEST_PAIRS} pairs. Received: {pairs}.")
    try:
        with written_aside(folder) as aside:
            _write(aside, pairs, seed)
    except OSError as error:
        raise DataError(
            f"The sample data cannot be written to {folder}: {error}. "
            "Make room or allow writing there, or set ENTAILMENT_HOME to another folder."
        ) from error
