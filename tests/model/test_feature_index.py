"""The index of features: what it gives is what the encoders gave, and what is gone is encoded again."""

import shutil

import numpy as np
import pytest

from entailment.configuration.model import ModelConfiguration
from entailment.errors import DataError
from entailment.model.end_to_end import features_of
from entailment.model.feature_index import FeatureIndex, write_feature_index
from entailment.model.features import configured_featurizer
from entailment.records.writing import write_records
from tests.encoders.random_modules import write_random_modules
from tests.records.test_records import spec, table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records, encoders, a store and an index of it; and the featurizer that wrote it."""
    folder = tmp_path_factory.mktemp("indexed")
    modules = write_random_modules(folder / "modules")
    text = {"encoder": modules["text"], "preprocessor": modules["preprocessor"], "sequence_length": 16}
    encoders = {"text": text, "image": {"encoder": modules["image"]}}
    config = ModelConfiguration.model_validate({"encoders": encoders, "images": {"size": 32}})
    write_records(table(folder), folder / "records", spec())
    featurizer = configured_featurizer(config, folder / "modules", folder / "store")
    (folder / "index").mkdir()
    write_feature_index(featurizer, folder / "records", folder / "index")
    return folder, config, featurizer


def indexed(folder, config, store="store"):
    index = FeatureIndex.at(folder / "index")
    return features_of(index, config, folder / "modules", folder / store)


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_gives_what_the_featurizer_gave(made, split):
    folder, config, featurizer = made
    expected, got = featurizer.split(folder / "records", split), indexed(folder, config).split(folder, split)
    assert set(got.inputs) == set(expected.inputs) and got.classes == expected.classes
    for name, column in expected.inputs.items():
        assert (got.inputs[name][:] == column[:]).all()
    assert (got.labels == expected.labels).all() and got.ids.equals(expected.ids)


def test_it_counts_no_input_twice_and_takes_the_kinds_that_are_asked_for(made):
    folder, config, featurizer = made
    known = indexed(folder, config.model_copy(update={"inputs": "text"}))
    assert {name[:4] for name in known.split(folder, "train").inputs} == {"text"}
    assert known.usage.misses == known.usage.hits == 0
    index = FeatureIndex.at(folder / "index")
    here, elsewhere = index.usage(""), index.usage("another run")
    assert here.misses == featurizer.usage.misses
    assert (elsewhere.hits, elsewhere.misses) == (here.hits + here.misses, 0)


def test_what_is_gone_from_the_store_is_encoded_again(made, tmp_path):
    folder, config, featurizer = made
    shutil.copytree(folder / "store", folder / "pruned")
    for shard in (folder / "pruned").glob("text-*/*.arrow"):
        shard.unlink()
    known = indexed(folder, config, "pruned")
    got, expected = known.split(folder / "records", "train"), featurizer.split(folder / "records", "train")
    assert all(np.array_equal(got.inputs[name][:], column[:]) for name, column in expected.inputs.items())
    assert known.usage.misses == 10


def test_a_damaged_index_is_named(made, tmp_path):
    folder, config, _ = made
    shutil.copytree(folder / "index", tmp_path / "index")
    file = tmp_path / "index" / "train.arrow"
    file.write_bytes(file.read_bytes()[:-1])
    known = features_of(FeatureIndex.at(tmp_path / "index"), config, folder / "modules", folder / "store")
    with pytest.raises(DataError, match=r"train\.arrow is gone or damaged"):
        known.split(folder / "records", "train")
