"""What must not matter to the trained sample model, changed in every test row."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from entailment.task import LABELS, probability_columns
from tests.behaviour.made_pairs import made_pairs

PROBABILITY = probability_columns(LABELS)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LINK = re.compile(r"https://t\.example/\w+")


def encoded_again(data, form, **options):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, form, **options)
    return buffer.getvalue()


def difference(first, second):
    """The share of rows with the same label, and each row's largest difference of a probability."""
    same = (first["label"].to_numpy() == second["label"].to_numpy()).mean()
    return same, np.abs(first[list(PROBABILITY)].to_numpy() - second[list(PROBABILITY)].to_numpy()).max(
        axis=1
    )


def changed_texts(sample_model, change):
    test = sample_model.test
    return sample_model.answer(
        test.assign(text_1=test["text_1"].map(change), text_2=test["text_2"].map(change))
    )


@pytest.mark.parametrize(
    "change",
    [lambda text: f"  {text} \n ", lambda text: " ".join(text.split()), str.upper],
    ids=["surrounding space", "line breaks", "capitals"],
)
def test_what_the_tokenizer_does_not_see_changes_nothing(sample_model, change):
    same, moved = difference(changed_texts(sample_model, change), sample_model.answers)
    assert same == 1 and moved.max() < 1e-4


@pytest.mark.parametrize(
    "change",
    [lambda text: LINK.sub("https://t.example/qqqqq", text), lambda text: LINK.sub("", text)],
    ids=["another link", "no link"],
)
def test_links_hardly_matter(sample_model, change):
    """The label stayed in 99 % of the rows; nine tenths of them moved by less than 0.004."""
    same, moved = difference(changed_texts(sample_model, change), sample_model.answers)
    assert same >= 0.93
    assert np.median(moved) < 0.005 and np.quantile(moved, 0.9) < 0.15


def test_the_file_format_of_an_image_changes_nothing(sample_model):
    test = sample_model.test
    png = {name: [encoded_again(data, "PNG") for data in test[name]] for name in ("image_1", "image_2")}
    same, moved = difference(sample_model.answer(test.assign(**png)), sample_model.answers)
    assert same == 1 and moved.max() < 1e-4


def test_compressing_an_image_again_hardly_matters(sample_model):
    """The label stayed in 98 % of the rows; the probabilities moved by 0.009 in the mean."""
    test = sample_model.test
    jpg = {
        name: [encoded_again(data, "JPEG", quality=85) for data in test[name]]
        for name in ("image_1", "image_2")
    }
    same, moved = difference(sample_model.answer(test.assign(**jpg)), sample_model.answers)
    assert same >= 0.96 and moved.mean() < 0.02


def test_swapping_equal_images_changes_nothing(sample_model):
    """Equal pixels in two files, once each way round; the label may rest on the texts alone."""
    made = made_pairs("agree", "plain")
    again = [encoded_again(data, "PNG") for data in made["image_1"]]
    pairs = made.assign(
        image_1=again, image_2=[encoded_again(data, "PNG", compress_level=9) for data in again]
    )
    assert (pairs["image_1"] != pairs["image_2"]).all()
    swapped = pairs.assign(image_1=pairs["image_2"], image_2=pairs["image_1"])
    same, moved = difference(sample_model.answer(swapped), sample_model.answer(pairs))
    assert same == 1 and moved.max() < 1e-4


def test_swapping_two_photographs_of_one_scene_hardly_matters(sample_model):
    """The label stayed in 85 % of the pairs; the probabilities moved by 0.09 in the mean."""
    made = made_pairs("agree", "plain")
    swapped = made.assign(image_1=made["image_2"], image_2=made["image_1"])
    same, moved = difference(sample_model.answer(swapped), sample_model.answer(made))
    assert same >= 0.8 and moved.mean() < 0.15
