import numpy as np
import pandas as pd
import pytest
from PIL import Image

from entailment.configuration.model import ModelConfiguration
from entailment.reporting.raw_pairs import raw_pairs_figure
from tests.reporting.test_figures import pixels, texts

ROWS = 40
GREEN = (10, 180, 30)


def pairs(folder):
    """Every first image is green and twice as wide as high, the second ones are not there."""
    Image.new("RGB", (300, 150), GREEN).save(folder / "green.png")
    return pd.DataFrame(
        {
            **{
                f"{name}_{side}": [f"{name} {side}-{i}" for i in range(ROWS)]
                for name in ("id", "text")
                for side in (1, 2)
            },
            "image_path_1": [str(folder / "green.png")] * ROWS,
            "image_path_2": [str(folder / "gone.png")] * ROWS,
            "image_status_1": ["ok"] * ROWS,
            "image_status_2": ["ok"] * 20 + ["missing"] * 20,
            "label_index": [0] * 4 + [2] * 36,
        }
    )


def test_pairs_are_drawn_at_random_by_the_seed_with_the_counts_of_all(tmp_path):
    table = pairs(tmp_path)
    figure = raw_pairs_figure(table, ModelConfiguration())
    assert [text.get_text() for text in figure.texts] == [
        *(
            "6 of 40 pairs, at random",
            "Contradictory 4 (10.0%) · Implies 0 (0.0%) · NoEntailment 36 (90.0%)",
        ),
    ]
    shown = [text for text in texts(figure) if text.startswith("text 1-")]
    numbers = [int(text.split("-")[1]) for text in shown]
    assert len(set(numbers)) == 6 and numbers == sorted(numbers) and numbers != list(range(6))
    assert texts(figure).count("no image") == 6
    assert texts(raw_pairs_figure(table, ModelConfiguration())) == texts(figure)
    assert texts(raw_pairs_figure(table, ModelConfiguration(seed=1))) != texts(figure)
    ys, xs = np.nonzero((pixels(figure)[:400] == GREEN).all(axis=2))
    assert np.ptp(xs) / np.ptp(ys) == pytest.approx(2, rel=0.03)


def test_fewer_pairs_than_are_shown_and_texts_alone(tmp_path):
    table = pairs(tmp_path).head(2).assign(image_status_1="missing", image_status_2="missing")
    figure = raw_pairs_figure(table, ModelConfiguration())
    assert figure.texts[0].get_text() == "2 of 2 pairs, at random"
    assert {"text 1-0", "text 2-1"} <= set(texts(figure)) and "no image" not in texts(figure)
