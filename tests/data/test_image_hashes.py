"""The content of a table's images: what makes another one, and what is read for it."""

import os

import pandas as pd
import pytest

from entailment.data import image_hashes
from entailment.data.image_hashes import images_hash
from entailment.task import IMAGE_FILE, IMAGE_SHA256, PAIR_COLUMNS

OLD = 1_600_000_000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg", "other.png"):
        put(tmp_path / "in" / name, name)
    return tmp_path / "in"


def put(path, content, at=OLD):
    path.write_text(content)
    os.utime(path, (at, at))


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read since it was emptied."""
    names, plain = [], image_hashes.sha256_of_file
    monkeypatch.setattr(
        image_hashes, "sha256_of_file", lambda path: (names.append(path.name), plain(path))[1]
    )
    return names


def table(*pairs):
    return pd.DataFrame([[a, "t", "", b, "t", "", "Implies"] for a, b in pairs], columns=list(PAIR_COLUMNS))


def test_images_that_come_change_or_go_are_seen_and_the_others_are_not_read_again(folder, tmp_path, read):
    pairs = table(("a", "b"), ("c", "a"))

    def found():
        read.clear()
        return images_hash(pairs, folder, tmp_path / "remembered"), sorted(read)

    first, names = found()
    assert names == ["a.png", "b.jpg"]  # one that no row has is none of its images
    assert found() == (first, [])
    put(folder / "other.png", "changed")
    assert found() == (first, [])
    os.utime(folder / "a.png", (OLD, OLD + 1))
    assert found() == (first, ["a.png"])  # copied, or on another machine: what counts is the content
    put(folder / "b.jpg", "b.jpX", OLD + 1)
    changed, names = found()
    assert names == ["b.jpg"] and changed != first
    put(folder / "c.png", "new")
    came, names = found()
    assert names == ["c.png"] and came not in (first, changed)
    (folder / "c.png").unlink()
    assert found() == (changed, [])
    put(folder / "b.jpg", "b.jpg", OLD + 2)
    assert found() == (first, ["b.jpg"])
    (folder / "b.jpg").rename(folder / "b.png")
    (tmp_path / "moved").mkdir()
    folder.rename(tmp_path / "moved" / "in")
    assert images_hash(pairs, tmp_path / "moved" / "in", tmp_path / "remembered") == first
    assert (
        images_hash(table(("b", "a"), ("c", "a")), tmp_path / "moved" / "in", tmp_path / "remembered")
        != first
    )


def test_a_file_of_this_moment_is_read_again_and_a_damaged_memory_is_none(folder, tmp_path, read):
    """Its next content may have the same size and time."""
    (folder / "a.png").write_text("a.png")
    first = images_hash(table(("a", "b")), folder, tmp_path / "remembered")
    read.clear()
    assert images_hash(table(("a", "b")), folder, tmp_path / "remembered") == first
    assert read == ["a.png"]
    (memory,) = (tmp_path / "remembered").glob("*.json")
    malformed = '{"format": 1, "files": {"a.png": [1, 2]}}'
    for damaged in ("{", "[]", '{"format": 9, "files": {}}', '{"format": 1, "files": []}', malformed):
        memory.write_text(damaged)
        read.clear()
        assert images_hash(table(("a", "b")), folder, tmp_path / "remembered") == first
        assert sorted(read) == ["a.png", "b.jpg"]


def test_a_table_of_a_data_set_of_our_own_tells_the_contents_itself(tmp_path, read):
    """But for files that are gone: when they come back, there is something new."""
    stored_images = tmp_path / "own"
    stored_images.mkdir()
    for name in "123":
        (stored_images / name).touch()
    pairs = table(("a", "b"), ("c", "a"))
    columns = dict(
        zip([*IMAGE_FILE, *IMAGE_SHA256], [["1", ""], ["", "1"], ["1", ""], ["", "1"]], strict=True)
    )
    stored = pairs.assign(**columns)
    first = images_hash(stored, stored_images, tmp_path)
    other = stored.assign(image_file_1=["1", "3"], image_sha256_1=["1", "3"])
    for changed in (stored.replace("1", "2"), other):
        assert images_hash(changed, stored_images, tmp_path) != first
    (stored_images / "1").unlink()
    assert images_hash(stored, stored_images, tmp_path) != first
    (stored_images / "1").touch()
    assert images_hash(stored, stored_images, tmp_path) == first
    assert read == [] and list(tmp_path.iterdir()) == [stored_images]
