"""Pairs of the sample's kind, made anew: of each pair one thing can be changed while all else stays as it is."""

from random import Random
from typing import Literal

import pandas as pd

from entailment.data.sample_photos import encoded, photograph, screenshot
from entailment.data.sample_scenes import MOMENTS, PLACES, THINGS, Scene
from entailment.data.sample_texts import Relation, texts

Shown = Literal["plain", "confirmed", "refuted", "elsewhere", "screenshot"]
"""What the second picture is: the scene of the first one (plain or with a fact checker's mark), or another scene;
`screenshot`: both pictures are screenshots of posts."""


def made_pairs(relation: Relation, shown: Shown, count: int = 40) -> pd.DataFrame:
    """Columns text_1, image_1, text_2, image_2; row n has the same claim, scene and first post in every call."""
    rows = []
    for number in range(count):
        first_text, _ = texts("agree", Random(f"texts {number}"))
        _, second_text = texts(relation, Random(f"texts {number}"))
        first_image, second_image = _images(shown, number)
        rows.append((first_text, first_image, second_text, second_image))
    return pd.DataFrame(rows, columns=["text_1", "image_1", "text_2", "image_2"])


def _images(shown: Shown, number: int) -> tuple[bytes, bytes]:
    random = {name: Random(f"{name} {number}") for name in ("scene", "first", "second", "elsewhere")}
    if shown == "screenshot":
        pictures = [screenshot(random["first"]), screenshot(random["second"])]
    else:
        scene = _scene(random["scene"])
        other = _elsewhere(scene, random["elsewhere"]) if shown == "elsewhere" else scene
        overlay = shown if shown in ("confirmed", "refuted") else "plain"
        pictures = [
            photograph(scene, "plain", random["first"]),
            photograph(other, overlay, random["second"]),
        ]
    first, second = (encoded(picture, "jpg", random["scene"]) for picture in pictures)
    return first, second


def _scene(random: Random) -> Scene:
    return Scene(
        random.choice(list(PLACES)),
        random.choice(MOMENTS),
        random.choice(list(THINGS)),
        random.getrandbits(32),
    )


def _elsewhere(scene: Scene, random: Random) -> Scene:
    """A scene that shares nothing with `scene`."""
    other = _scene(random)
    while other.place == scene.place or other.moment == scene.moment or other.thing == scene.thing:
        other = _scene(random)
    return other
