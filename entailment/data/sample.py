"""The embedded default data set: generated pairs of posts with pictures, the same bytes for the same seed.

What decides a pair is one line of CASES. Texts that oppose or pass each other by decide alone; silent ones leave it
to a fact checker's mark on the picture; agreeing ones entail under one scene and contradict under two. So every
NoEntailment case is one step away from another label.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from entailment import task as schema
from entailment.data.sample_images import Mark, photograph, random_scene
from entailment.data.sample_texts import LETTERS, Relation, texts
from entailment.errors import DataError
from entailment.files import write_json, written_aside

GENERATOR_VERSION: Final = 2
"""Raised whenever the same seed gives other bytes."""
FEWEST_PAIRS: Final = 20
PNG_SHARE: Final = 0.15


class Case(NamedTuple):
    """One way in which a pair comes to its label, and how many of a hundred pairs do."""

    label: str
    relation: Relation
    same_scene: bool
    mark: Mark
    per_cent: int


CASES: Final = (
    Case("NoEntailment", "pass", True, "plain", 28),
    Case("NoEntailment", "pass", False, "plain", 21),
    Case("NoEntailment", "silent", True, "plain", 11),
    Case("NoEntailment", "silent", False, "plain", 10),
    Case("Implies", "agree", True, "plain", 9),
    Case("Implies", "silent", True, "confirmed", 6),
    Case("Contradictory", "agree", False, "plain", 6),
    Case("Contradictory", "oppose", True, "plain", 5),
    Case("Contradictory", "silent", True, "refuted", 4),
)


def _cases(pairs: int, rng: Random) -> list[Case]:
    """The case of each row, in shuffled order."""
    hundred = [case for case in CASES for _ in range(case.per_cent)]
    drawn = [hundred[100 * row // pairs] for row in range(pairs)]
    rng.shuffle(drawn)
    return drawn


def _image_url(extension: str, rng: Random) -> str:
    """A URL as social networks write them: some with a query, some with the extension in capitals."""
    name = "".join(rng.choices(LETTERS + LETTERS.upper() + "0123456789_-", k=15))
    shown = extension.upper() if rng.random() < 0.05 else extension
    query = f"?format={extension}&name=small" if rng.random() < 0.2 else ""
    return f"https://pbs.example.com/media/{name}.{shown}{query}"


def _row(case: Case, ids: Sequence[str], said: set[str], images: Path, rng: Random) -> dict[str, str]:
    """Writes the two image files of a pair; returns its row of the table. `said` holds every text so far."""
    row = {schema.LABEL: case.label}
    posts = texts(case.relation, rng)
    while len({*posts} - said) < len(posts):
        posts = texts(case.relation, rng)
    said.update(posts)
    scene = random_scene(rng)
    other = scene if case.same_scene else random_scene(rng, unlike=scene)
    pictures = (photograph(scene, "plain", rng), photograph(other, case.mark, rng))
    for side, picture in enumerate(pictures):
        extension = "png" if rng.random() < PNG_SHARE else "jpg"
        quality = rng.randint(70, 95)
        picture.save(images / f"{ids[side]}.{extension}", quality=quality, compress_level=1)
        row[schema.ID[side]] = ids[side]
        row[schema.TEXT[side]] = posts[side]
        row[schema.IMAGE_URL[side]] = _image_url(extension, rng)
    return row


def _write(folder: Path, pairs: int, seed: int) -> None:
    rng = Random(seed)
    images = folder / "images"
    images.mkdir(parents=True)
    # As large as today's ids: no float holds them exactly.
    ids = [str(1_330_000_000_000_000_000 + number) for number in rng.sample(range(10**17), 2 * pairs)]
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
