"""The feature store through the command line: what is encoded when, and what trouble with it does to a run."""

import json
import re
import shutil

import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TEXTS, IMAGES = 160, 160
"""Distinct ones in the workspace's data."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    made = Workspace(folder)
    made.write_config(write_random_modules(folder / "modules"))
    return made


@pytest.fixture(scope="module")
def first(workspace):
    done = workspace.run()
    assert done.returncode == 0, done.stderr
    return done


def features(done):
    """(taken from the store, encoded) as the summary says."""
    assert done.returncode == 0, done.stderr
    return tuple(
        map(int, re.search(r"Features +(\d+) from the store .*?, (\d+) encoded", done.stdout).groups())
    )


def test_everything_is_encoded_once(first, workspace):
    assert features(first) == (0, TEXTS + IMAGES)
    assert features(workspace.run("--seed", "7", "--inputs", "text")) == (TEXTS, 0)


def test_hits_and_misses_are_tags_of_the_run(first, workspace):
    from mlflow import MlflowClient

    run = workspace.result("--loss", "weighted")
    tags = MlflowClient(workspace.tracking_uri).get_run(run["run_id"]).data.tags
    assert (tags["features.hits"], tags["features.misses"]) == (str(TEXTS + IMAGES), "0")
    assert {"features.seconds_saved", "features.seconds_spent"} <= set(tags)


def test_grown_data_pay_for_what_is_new_alone(first, workspace):
    pairs = workspace.folder / "data" / "pairs.csv"
    lines = pairs.read_text(encoding="utf-8").splitlines(keepends=True)
    row = lines[1].rstrip("\n").split(",")
    grown = workspace.folder / "data" / "grown.csv"
    new = ["x1", "a text never seen before", "", "x2", "and a second one", "", row[-1]]
    grown.write_text("".join(lines) + ",".join(new) + "\n", encoding="utf-8")
    assert features(workspace.run("--dataset", str(grown), "--images", str(pairs.parent / "images")))[1] == 2


def test_the_cache_command_shows_and_bounds_the_store(first, workspace):
    stored = json.loads(workspace.run("cache", "--json", config=False).stdout)["encoders"]
    assert {entry["about"]["inputs"]: entry["features"] >= 160 for entry in stored} == {
        "text-each": True,
        "image": True,
    }
    shown = workspace.run("cache", config=False).stdout
    assert "text-each" in shown and "MB in" in shown
    wrong = workspace.run("cache", "--prune", "much", config=False)
    assert wrong.returncode == 2 and "500MB" in wrong.stderr
    emptied = workspace.run("cache", "--prune", "0MB", config=False)
    assert emptied.returncode == 0 and "is empty" in emptied.stdout
    assert features(workspace.run("--no-cache")) == (0, TEXTS + IMAGES)


def test_a_flipped_byte_is_said_and_costs_that_shard(first, workspace):
    expected = workspace.result()["metrics"]
    shard = sorted((workspace.home / "features").glob("image-*/*.arrow"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    done = workspace.run("--no-cache", "--json")
    assert "are damaged: removed, their inputs are encoded again" in done.stderr
    assert json.loads(done.stdout)["metrics"] == expected


def test_another_encoder_under_the_same_name_is_no_hit(first, workspace):
    import tensorflow as tf

    from entailment.encoders.build import bert_module
    from tests.encoders.random_modules import HEADS, random_bert_weights

    module = workspace.folder / "modules" / "text"
    shutil.rmtree(module)
    tf.saved_model.save(bert_module(random_bert_weights(seed=8), HEADS), str(module))
    assert features(workspace.run()) == (IMAGES, TEXTS)


def test_without_a_place_for_features_the_run_goes_on(first, workspace):
    place = workspace.home / "features"
    shutil.rmtree(place)
    place.write_text("in the way")
    done = workspace.run("--no-cache")
    place.unlink()
    assert features(done)[1] > 0 and "cannot be kept in" in done.stderr
