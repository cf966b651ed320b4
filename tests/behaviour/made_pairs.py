"""Pairs of the sample's kind, made anew: of each pair one thing can be changed while all else stays as it is."""

import io
from random import Random
from typing import Literal

import pandas as pd
from PIL import Image

from entailment.data.sample_images import photograph, random_scene
from entailment.data.sample_texts import Relation, texts

Shown = Literal["plain", "confirmed", "refuted", "elsewhere"]
"""What the second picture is: the scene of the first one (plain or with a fact checker's mark), or another scene."""


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
    scene = random_scene(random["scene"])
    other = random_scene(random["elsewhere"], unlike=scene) if shown == "elsewhere" else scene
    mark = shown if shown in ("confirmed", "refuted") else "plain"
    first, second = photograph(scene, "plain", random["first"]), photograph(other, mark, random["second"])
    return _jpeg(first), _jpeg(second)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
