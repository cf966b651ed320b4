"""The store of features: nothing lost, nothing stale, damage found."""

import multiprocessing

import numpy as np

from entailment.encoders.feature_store import FeatureStore, feature_key


def keys(*names):
    return [feature_key(name.encode()) for name in names]


def vectors(n, start=0.0):
    return (np.arange(n * 4, dtype=np.float32) + np.float32(start)).reshape(n, 4)


def test_what_was_added_is_found_by_a_later_process(tmp_path):
    FeatureStore(tmp_path, "f", 4).add(keys("a", "b"), vectors(2))
    store = FeatureStore(tmp_path, "f", 4)
    store.add(keys("c"), vectors(1, 100))
    again = FeatureStore(tmp_path, "f", 4)
    assert len(again) == 3
    assert again.take(keys("c", "a", "c")).tolist() == [
        *vectors(1, 100).tolist(),
        [0, 1, 2, 3],
        *vectors(1, 100).tolist(),
    ]


def test_another_fingerprint_shares_nothing(tmp_path):
    FeatureStore(tmp_path, "f", 4).add(keys("a"), vectors(1))
    assert keys("a")[0] not in FeatureStore(tmp_path, "g", 4)


def test_a_flipped_byte_is_found_and_only_that_file_is_lost(tmp_path, caplog):
    store = FeatureStore(tmp_path, "f", 4)
    store.add(keys("a"), vectors(1))
    store.add(keys("b"), vectors(1))
    damaged = sorted((tmp_path / "f").iterdir())[0]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    again = FeatureStore(tmp_path, "f", 4)
    assert len(again) == 1
    assert "damaged" in caplog.text
    assert not damaged.exists()


def test_in_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = FeatureStore(None, "f", 4)
    store.add(keys("a"), vectors(1))
    assert store.take(keys("a")).tolist() == vectors(1).tolist()
    assert list(tmp_path.iterdir()) == []


def test_keys_keep_parts_apart():
    assert feature_key(b"ab", b"c") != feature_key(b"a", b"bc")
    assert feature_key(b"ab") != feature_key(b"ab", b"")


def _add(folder, start):
    for number in range(start, start + 20):
        FeatureStore(folder, "f", 4).add([feature_key(str(number).encode())], vectors(1, number))


def test_two_processes_may_add_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(tmp_path, start)) for start in (0, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = FeatureStore(tmp_path, "f", 4)
    assert len(store) == 40
    assert store.take([feature_key(b"33")])[0][0] == 33
