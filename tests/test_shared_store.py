"""The store that machines share, in a folder and on S3: who writes a name first wins, and all is whole or absent."""

import errno
import json
from pathlib import Path

import pytest

from entailment.configuration.task import Task
from entailment.data.additions import add_pairs
from entailment.data.pairs import read_pairs
from entailment.data.versions import fetch_versions, find_version
from entailment.errors import DataError, StoreError
from entailment.shared_store import SharedStore
from entailment.workspace import Workspace, workspace
from tests.s3 import s3_server

LIMITS = {"max_text_bytes": 1000, "max_pixels": 10_000}
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738"
    "550000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def server():
    with s3_server() as variables:
        yield variables


@pytest.fixture(params=["folder", "s3"])
def url(request, server, tmp_path, monkeypatch):
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{tmp_path.name}" if request.param == "s3" else str(tmp_path / "store")


def test_the_first_writer_wins_and_names_are_seen_by_all(url, tmp_path):
    first, second = SharedStore(url), SharedStore(url)
    assert first.names("a") == []
    for number, store in enumerate((first, second)):
        (tmp_path / "file").write_text(str(number))
        assert store.publish(tmp_path / "file", "a/b/name") is (number == 0)
    assert second.names("a") == ["b/name"]
    second.fetch("a/b/name", tmp_path / "here" / "file")
    assert (tmp_path / "here" / "file").read_text() == "0"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["file"]


def test_what_is_being_written_is_no_file_yet(tmp_path):
    store = SharedStore(str(tmp_path / "store"))
    (tmp_path / "store" / "a" / ".tmp1").mkdir(parents=True)
    (tmp_path / "store" / "a" / ".tmp1" / "half").touch()
    assert store.names("a") == []


def test_folders_travel_packed(url, tmp_path):
    module = tmp_path / "module"
    (module / "variables").mkdir(parents=True)
    (module / "variables" / "data").write_bytes(b"\0" * 3_000_000)
    (module / "saved_model.pb").write_text("graph")
    homes = [Workspace(tmp_path / name, url) for name in ("one", "two", "older")]
    with homes[0].sharing_encoders(["m"], "graphs-1", Path.is_dir):
        module.rename(
            homes[0].encoders.joinpath("modules").mkdir(parents=True) or homes[0].encoders / "modules/m"
        )
    with homes[1].sharing_encoders(["m"], "graphs-1", Path.is_dir):
        there = homes[1].encoders / "modules" / "m"
        assert (there / "saved_model.pb").read_text() == "graph"
        assert (there / "variables" / "data").stat().st_size == 3_000_000
    with homes[2].sharing_encoders(["m"], "graphs-0", Path.is_dir):
        assert not (homes[2].encoders / "modules").exists()


def test_features_go_both_ways(url, tmp_path):
    one, two = (Workspace(tmp_path / name, url) for name in ("one", "two"))
    for place, name in ((one, "a"), (two, "b")):
        (place.features / "text-each-1").mkdir(parents=True)
        with place.sharing_features(["text-each-1"]):
            (place.features / "text-each-1" / f"{name}.arrow").write_text(name)
    with one.sharing_features(iter(["text-each-1"])):
        assert {path.name for path in (one.features / "text-each-1").iterdir()} == {"a.arrow", "b.arrow"}


def test_records_of_what_changed_while_they_were_written_are_not_shared(tmp_path):
    place, keys = Workspace(tmp_path / "home", str(tmp_path / "store")), iter(["1", "2", "3", "3"])
    for shared in ([], ["3.tar"]):
        with place.sharing_records(lambda: next(keys), tmp_path / "records") as there:
            assert not there
            (tmp_path / "records").mkdir(exist_ok=True)
            (tmp_path / "records" / "manifest.json").touch()
        assert place.shared.names("records") == shared


def addition(tmp_path, url, home, number, **options):
    file = tmp_path / f"{number}.csv"
    file.write_text(
        f"id_1,text_1,image_1,id_2,text_2,image_2,label\n{number}1,text {number},,{number}2,other,,Implies\n"
    )
    images = tmp_path / f"images-{number}"
    images.mkdir(exist_ok=True)
    (images / f"{number}1.png").write_bytes(PNG + bytes([number]))
    store = SharedStore(url) if url else None
    return add_pairs(file, images, tmp_path / home, "own", Task(), **LIMITS, shared=store, **options)


def rows(tmp_path, home, source="own"):
    found = find_version(tmp_path / home, source)
    return found.number, read_pairs(found.csv, Task(), max_text_bytes=1000)["id_1"].tolist(), found.images


def test_a_data_set_grows_on_two_machines(url, tmp_path):
    assert addition(tmp_path, url, "one", 1).version == 1
    assert addition(tmp_path, url, "two", 2).version == 2
    fetch_versions(SharedStore(url), tmp_path / "one", "own@2")
    assert rows(tmp_path, "one")[:2] == (2, ["11", "21"]) == rows(tmp_path, "two")[:2]
    found = {path.read_bytes() for path in rows(tmp_path, "one")[2].iterdir()}
    assert found == {PNG + b"\1", PNG + b"\2"}
    assert rows(tmp_path, "two", "own@1")[1] == ["11"]
    assert not list((tmp_path / "one").rglob(".*"))


def test_of_two_additions_at_once_one_is_told_to_run_again(url, tmp_path, monkeypatch):
    addition(tmp_path, url, "one", 1)
    # The other machine's version appears after this one has looked for what is new.
    monkeypatch.setattr("entailment.data.additions.fetch_versions", lambda *_: None)
    with pytest.raises(
        DataError, match=r"Another machine has just made version 1 of own .* run the command again"
    ):
        addition(tmp_path, url, "two", 2)
    assert find_version(tmp_path / "two", "own") is None
    monkeypatch.undo()
    assert addition(tmp_path, url, "two", 2).version == 2


def test_versions_from_before_the_store_are_shared_by_the_next_addition(url, tmp_path):
    addition(tmp_path, None, "one", 1)
    addition(tmp_path, url, "one", 2)
    fetch_versions(SharedStore(url), tmp_path / "two", "own")
    assert rows(tmp_path, "two")[:2] == (2, ["11", "21"])
    assert rows(tmp_path, "two", "own@1")[1] == ["11"]
    assert not json.loads((tmp_path / "two" / "own" / "log.json").read_text())["additions"][0]["file"].count(
        "/"
    )


def test_a_lost_image_is_named_before_it_goes_to_the_store_and_may_be_brought_again(tmp_path):
    addition(tmp_path, None, "one", 1)
    (lost,) = rows(tmp_path, "one")[2].iterdir()
    lost.unlink()
    store = str(tmp_path / "store")
    with pytest.raises(DataError, match=rf"The image {lost} of version 1 is gone.*add FILE.csv --images"):
        addition(tmp_path, store, "one", 2)
    assert rows(tmp_path, "one")[0] == 1
    assert [addition(tmp_path, store, "one", number).version for number in (1, 2)] == [1, 2]


def test_two_data_sets_of_one_name_are_kept_apart(url, tmp_path):
    addition(tmp_path, url, "one", 1)
    addition(tmp_path, None, "two", 2)
    with pytest.raises(DataError, match=r"'own' of this home is not the one in .*: version 1 differs"):
        addition(tmp_path, url, "two", 3)
    assert rows(tmp_path, "two")[:2] == (1, ["21"]) and rows(tmp_path, "one")[:2] == (1, ["11"])


def test_a_store_that_cannot_be_used_is_named(tmp_path, monkeypatch, server):
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"s3://nowhere/x cannot be used: .*bucket does not exist"):
        SharedStore("s3://nowhere/x").publish(tmp_path / "file", "name")
    with pytest.raises(StoreError, match=r"what://x cannot be used"):
        SharedStore("what://x")
    (tmp_path / "no folder").touch()
    with pytest.raises(StoreError, match="no folder cannot be used"):
        SharedStore(str(tmp_path / "no folder")).publish(tmp_path / "file", "name")


def test_a_full_home_beside_the_store_is_no_fault_of_the_store(tmp_path):
    store, full = SharedStore(str(tmp_path / "store")), OSError(errno.ENOSPC, "No space left on device")
    for place, kind in (("store-home", OSError), ("store", StoreError)):
        full.filename = str(tmp_path / place / "file")
        with pytest.raises(kind, match="No space left"), store._plain_errors():
            raise full


def test_where_the_store_is_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ENTAILMENT_STORE", raising=False)
    assert workspace().shared is None and "ENTAILMENT_STORE" not in workspace().variables
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENTAILMENT_STORE", "store")
    assert workspace().variables["ENTAILMENT_STORE"] == str(tmp_path / "store")
    monkeypatch.setenv("ENTAILMENT_STORE", "s3://bucket/prefix")
    assert workspace().variables["ENTAILMENT_STORE"] == "s3://bucket/prefix"
