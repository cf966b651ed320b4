"""The store of features: nothing lost, nothing stale, damage found, trouble with the disk survived."""

import errno
import multiprocessing
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from entailment.encoders import feature_store
from entailment.encoders.feature_inventory import inventory, prune
from entailment.encoders.feature_store import FeatureStore
from entailment.errors import DataError


def width():
    return 4


def keys(*names):
    return np.array([name.encode().ljust(16, b".") if name else b"" for name in names], "S16")


def vectors(n, start=0.0):
    return (np.arange(n * 4, dtype=np.float32) + np.float32(start)).reshape(n, 4)


def shards(folder):
    return sorted(folder.glob("*.arrow"))


def take(store, *names):
    return store.at(keys(*names))[:].tolist()


def test_what_was_added_is_found_by_a_later_process(tmp_path):
    FeatureStore(tmp_path / "f", width).add(keys("a", "b"), vectors(2), 1)
    store = FeatureStore(tmp_path / "f", width)
    assert store.missing(keys("c", "a", "", "c", "b")).tolist() == [0]
    store.add(keys("c"), vectors(1, 100), 1)
    again = FeatureStore(tmp_path / "f", width)
    assert len(again) == 3 and again.missing(keys("a", "b", "c")).tolist() == []
    hundred = vectors(1, 100)[0].tolist()
    assert take(again, "c", "", "a", "c") == [hundred, [0, 0, 0, 0], [0, 1, 2, 3], hundred]


def test_features_of_a_newer_version_are_refused_and_kept(tmp_path, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr(feature_store, "_FORMAT", 2)
        FeatureStore(tmp_path, width).add(keys("a"), vectors(1), 1)
    with pytest.raises(DataError, match=r"\.arrow is of format 2.* up to 1: a newer version"):
        FeatureStore(tmp_path, width)
    assert len(shards(tmp_path)) == 1


def test_rows_are_taken_by_position_and_slice(tmp_path):
    store = FeatureStore(tmp_path / "f", width)
    store.add(keys("a", "b"), vectors(2), 1)
    store.add(keys("c"), vectors(1, 100), 1)
    stored = store.at(keys("c", "b", "a"))
    assert stored.shape == (3, 4) and len(stored) == 3
    assert stored[np.array([2, 0, 0])][:, 0].tolist() == [0, 100, 100]
    assert stored[1:][:, 0].tolist() == [4, 0]


def test_a_key_that_is_not_there_is_no_vector(tmp_path):
    store = FeatureStore(tmp_path / "f", width)
    store.add(keys("a"), vectors(1), 1)
    with pytest.raises(KeyError):
        store.at(keys("a", "b"))


def test_another_encoder_shares_nothing(tmp_path):
    FeatureStore(tmp_path / "f", width).add(keys("a"), vectors(1), 1)
    assert FeatureStore(tmp_path / "g", width).missing(keys("a")).tolist() == [0]


def test_the_encoder_is_asked_for_its_width_only_where_no_shard_tells(tmp_path):
    FeatureStore(tmp_path / "f", width).add(keys("a"), vectors(1), 1)

    def loads():
        raise AssertionError("the encoder was loaded")

    store = FeatureStore(tmp_path / "f", loads)
    assert store.missing(keys("a", "")).tolist() == []
    assert take(store, "a", "") == [*vectors(1).tolist(), [0, 0, 0, 0]]
    assert FeatureStore(tmp_path / "g", width).at(keys(""))[:].tolist() == [[0, 0, 0, 0]]


def test_a_shard_of_another_width_is_not_taken(tmp_path, caplog):
    FeatureStore(tmp_path / "wide", lambda: 8).add(keys("a"), np.zeros((1, 8), np.float32), 1)
    FeatureStore(tmp_path / "f", width).add(keys("b"), vectors(1), 1)
    with pytest.raises(DataError, match=r"wide are 8 wide, and the encoder gives 4: .*Delete the folder"):
        FeatureStore(tmp_path / "wide", width).add(keys("b"), vectors(1), 1)
    shutil.copy(shards(tmp_path / "wide")[0], tmp_path / "f")
    store = FeatureStore(tmp_path / "f", width)
    assert store.missing(keys("a", "b")).tolist() == [0] and "damaged" in caplog.text
    assert take(store, "b") == vectors(1).tolist()


def test_hits_misses_and_what_was_saved_are_counted(tmp_path):
    FeatureStore(tmp_path / "f", width).add(keys("a", "b", "c", "d"), vectors(4), 8.0)
    store = FeatureStore(tmp_path / "f", width)
    store.missing(keys("a", "a", "b", "x", "", "x"))
    store.add(keys("x"), vectors(1), 3.0)
    usage = store.usage
    assert (usage.hits, usage.misses, usage.seconds_saved, usage.seconds_spent) == (2, 1, 4.0, 3.0)


@pytest.mark.parametrize("place", [0.05, 0.3, 0.5, 0.9, 0.999])
def test_a_flipped_byte_is_found_and_only_that_shard_is_lost(tmp_path, caplog, place):
    store = FeatureStore(tmp_path / "f", width)
    store.add(keys("a"), vectors(1), 1)
    store.add(keys("b"), vectors(1), 1)
    damaged = shards(tmp_path / "f")[0]
    data = bytearray(damaged.read_bytes())
    data[int(len(data) * place)] ^= 1
    damaged.write_bytes(data)
    again = FeatureStore(tmp_path / "f", width)
    assert len(again.missing(keys("a", "b"))) == 1
    assert "damaged" in caplog.text and "encoded again" in caplog.text
    assert not damaged.exists() and len(shards(tmp_path / "f")) == 1


@pytest.mark.parametrize("left", [0, 7, 400])
def test_a_cut_shard_is_found(tmp_path, caplog, left):
    FeatureStore(tmp_path / "f", width).add(keys("a"), vectors(1), 1)
    shard = shards(tmp_path / "f")[0]
    shard.write_bytes(shard.read_bytes()[:left])
    assert FeatureStore(tmp_path / "f", width).missing(keys("a")).tolist() == [0]
    assert "damaged" in caplog.text


def test_in_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = FeatureStore(None, width)
    store.add(keys("a"), vectors(1), 1)
    assert take(store, "a") == vectors(1).tolist()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_or_forbidden_disk_costs_only_encoding_again(tmp_path, monkeypatch, caplog, fault):
    def refuse(*_):
        raise OSError(fault, os.strerror(fault))

    store = FeatureStore(tmp_path / "f", width)
    with monkeypatch.context() as patched:
        patched.setattr(feature_store, "written_aside", refuse)
        store.add(keys("a"), vectors(1), 1)
    assert os.strerror(fault) in caplog.text and "the next one encodes them again" in caplog.text
    store.add(keys("b"), vectors(1, 100), 1)
    assert take(store, "a", "b") == [*vectors(1).tolist(), *vectors(1, 100).tolist()]
    assert FeatureStore(tmp_path / "f", width).missing(keys("a", "b")).tolist() == [0]


def test_a_folder_that_cannot_be_one_costs_only_encoding_again(tmp_path, caplog):
    (tmp_path / "features").write_text("a file where the folder should be")
    store = FeatureStore(tmp_path / "features" / "f", width)
    store.add(keys("a"), vectors(1), 1)
    assert take(store, "a") == vectors(1).tolist()
    assert "cannot be kept" in caplog.text


def test_removed_while_running(tmp_path, caplog):
    first = FeatureStore(tmp_path / "f", width)
    first.add(keys("a"), vectors(1), 1)
    FeatureStore(tmp_path / "f", width).add(keys("b"), vectors(1, 100), 1)
    second = FeatureStore(tmp_path / "f", width)
    second.missing(keys("a"))
    shutil.rmtree(tmp_path / "f")
    assert take(first, "a") == take(second, "a") == vectors(1).tolist()
    assert second.missing(keys("a", "b")).tolist() == [1]
    assert "gone" in caplog.text
    second.add(keys("b"), vectors(1, 100), 1)
    assert FeatureStore(tmp_path / "f", width).missing(keys("b")).tolist() == []


def test_more_shards_than_a_process_may_open_files(tmp_path):
    store = FeatureStore(tmp_path / "f", width)
    names = [f"n{number}" for number in range(150)]
    for number, name in enumerate(names):
        store.add(keys(name), vectors(1, number), 1)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 60, before[1]))
    try:
        again = FeatureStore(tmp_path / "f", width)
        assert again.missing(keys(*names)).tolist() == []
        assert again.at(keys(*names))[:][:, 0].tolist() == list(range(150))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _add(folder, start):
    for number in range(start, start + 20):
        FeatureStore(folder, width).add(keys(str(number)), vectors(1, number), 1)


def _add_for_ever(folder):
    number = 0
    while True:
        FeatureStore(folder, width).add(keys(str(number)), np.full((1, 4), number, np.float32), 1)
        number += 1


def test_two_processes_may_add_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(tmp_path / "f", start)) for start in (0, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = FeatureStore(tmp_path / "f", width)
    names = [str(number) for number in range(30)]
    assert store.missing(keys(*names)).tolist() == [] and len(store) == 30
    assert [row[0] for row in take(store, *names)] == list(range(30))


def test_killed_while_writing_only_the_unfinished_shard_is_lost(tmp_path):
    worker = multiprocessing.get_context("spawn").Process(target=_add_for_ever, args=(tmp_path / "f",))
    worker.start()
    deadline = time.monotonic() + 60
    while len(shards(tmp_path / "f")) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    whole = len(shards(tmp_path / "f"))
    store = FeatureStore(tmp_path / "f", width)
    names = [str(number) for number in range(whole)]
    assert whole >= 20 and store.missing(keys(*names)).tolist() == []
    assert [row[0] for row in take(store, *names)] == list(range(whole))


# ---- what the store holds


def used(path, when):
    os.utime(path, (when, when))


def test_the_inventory_tells_encoders_apart(tmp_path):
    assert inventory(tmp_path) == []
    FeatureStore(tmp_path / "a", width, {"encoder": "one"}).add(keys("a", "b"), vectors(2), 1)
    FeatureStore(tmp_path / "b", lambda: 400, {"encoder": "two"}).add(
        keys("a"), np.zeros((1, 400), np.float32), 1
    )
    big, small = inventory(tmp_path)
    assert (big.about["encoder"], big.features, big.files) == ("two", 1, 1)
    assert (small.about["encoder"], small.features, small.files) == ("one", 2, 1)
    assert small.bytes == shards(tmp_path / "a")[0].stat().st_size


def test_pruning_removes_what_was_not_used_longest(tmp_path):
    for name, when in (("old", 1000), ("older", 500), ("new", 2000)):
        FeatureStore(tmp_path / name, width).add(keys(name), vectors(1), 1)
        used(shards(tmp_path / name)[0], when)
    FeatureStore(tmp_path / "older", width).missing(keys("older"))  # a use makes it the newest
    size = shards(tmp_path / "new")[0].stat().st_size
    pruned = prune(tmp_path, 2 * size)
    assert (pruned.files, pruned.bytes_left) == (1, 2 * size)
    assert {path.name for path in tmp_path.iterdir()} == {"older", "new"}
    assert prune(tmp_path, 2 * size).files == 0
    assert prune(tmp_path, 0).bytes_left == 0 and inventory(tmp_path) == []


def test_pruning_clears_up_after_killed_processes_alone(tmp_path):
    FeatureStore(tmp_path / "f", width).add(keys("a"), vectors(1), 1)
    for name in (".dead.arrow.x", ".alive.arrow.y"):
        (tmp_path / "f" / name).mkdir()
    used(tmp_path / "f" / ".dead.arrow.x", 1000)
    prune(tmp_path, 10**9)
    assert not (tmp_path / "f" / ".dead.arrow.x").exists()
    assert (tmp_path / "f" / ".alive.arrow.y").exists()


def test_pruned_features_go_on_being_read_by_a_run_that_has_them(tmp_path):
    store = FeatureStore(tmp_path / "f", width)
    store.add(keys("a"), vectors(1), 1)
    prune(tmp_path, 0)
    assert take(store, "a") == vectors(1).tolist()
