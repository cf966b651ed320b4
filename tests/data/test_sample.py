"""The generated sample data: the same bytes every time, whole or absent, as the schema wants it."""

import json
import re
from collections import Counter

import pandas as pd
import pytest
from PIL import Image

from entailment.configuration.task import Task
from entailment.data import sample as module
from entailment.data.image_paths import resolve_image_paths
from entailment.data.pairs import read_pairs
from entailment.data.sample import write_sample
from entailment.errors import DataError
from entailment.files import sha256_of_folder
from entailment.task import ID, PAIR_COLUMNS, TEXT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("sample") / "made"
    write_sample(made, pairs=120)
    return made


@pytest.fixture(scope="module")
def pairs(folder):
    return read_pairs(folder / "pairs.csv", Task(), max_text_bytes=20_000)


def test_the_same_arguments_give_the_same_bytes(folder, tmp_path):
    write_sample(tmp_path / "again", pairs=120)
    assert sha256_of_folder(tmp_path / "again") == sha256_of_folder(folder)
    write_sample(tmp_path / "other", pairs=120, seed=7)
    assert sha256_of_folder(tmp_path / "other") != sha256_of_folder(folder)


def test_shares_are_exact(pairs):
    assert Counter(pairs["label"]) == {"NoEntailment": 84, "Implies": 18, "Contradictory": 18}


def test_the_table_is_one_that_ingestion_takes(pairs):
    assert list(pairs.columns[:7]) == list(PAIR_COLUMNS)
    ids = [identity for name in ID for identity in pairs[name]]
    assert len(set(ids)) == 240 and all(re.fullmatch(r"\d{19}", identity) for identity in ids)


def test_no_text_is_said_twice(pairs):
    texts = pd.concat([pairs[name] for name in TEXT])
    assert texts.is_unique


def test_every_image_is_found_and_decodes(folder, pairs):
    resolved, report = resolve_image_paths(pairs, folder / "images", missing="error", max_pixels=1_000_000)
    assert report.usable == 240
    formats = Counter()
    for path in pd.concat([resolved["image_path_1"], resolved["image_path_2"]]):
        with Image.open(path) as image:
            image.load()
            formats[image.format] += 1
            assert image.mode == "RGB" and 160 <= max(image.size) <= 320
    assert formats["JPEG"] > formats["PNG"] > 0


def test_it_says_that_it_is_generated(folder):
    assert json.loads((folder / "generated.json").read_text())["generated"] is True


def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch):
    def broken(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", broken)
    with pytest.raises(DataError, match=r"No space left on device.*ENTAILMENT_HOME"):
        write_sample(tmp_path / "sample", pairs=30)
    assert list(tmp_path.iterdir()) == []


def test_too_few_pairs_are_refused(tmp_path):
    with pytest.raises(DataError, match="needs at least"):
        write_sample(tmp_path / "sample", pairs=5)
