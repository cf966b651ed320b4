"""A data set of our own: what an addition brings, refuses and survives."""

import csv
import gzip
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pandas as pd
import pytest

from entailment.configuration.dataset import Dataset, Tweets
from entailment.configuration.task import Task
from entailment.data import additions
from entailment.data.additions import add_pairs, addition_summary
from entailment.data.image_paths import NOT_ADDED, resolve_image_paths
from entailment.data.pairs import read_pairs
from entailment.data.sources import is_path, locate
from entailment.data.versions import dataset_names, fetch_versions, find_version
from entailment.errors import ConfigurationError, DataError
from entailment.files import sha256_of_file
from entailment.shared_store import SharedStore
from entailment.task import IMAGE_PATH, PAIR_COLUMNS
from entailment.workspace import PROJECT

LIMITS = {"max_text_bytes": 1000, "max_pixels": 10_000}


def row(number, label="Implies", **changes):
    values = {"id_1": f"a{number}", "text_1": f"first {number}", "image_1": f"http://x/a{number}.png"}
    values |= {"id_2": f"b{number}", "text_2": f'second, "{number}"\r\nline', "image_2": "", "label": label}
    return values | changes


def write(path, rows):
    import pandas as pd

    pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).to_csv(path, index=False, lineterminator="\n")
    return path


def picture(path, color):
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (4, 4), color).save(path)
    return path


@pytest.fixture
def add(tmp_path):
    def run(rows, images=None, name="own"):
        file = write(tmp_path / "new.csv", rows)
        return add_pairs(file, images, tmp_path / "datasets", name, Task(), **LIMITS)

    return run


def current(tmp_path, source="own"):
    version = find_version(tmp_path / "datasets", source)
    return read_pairs(version.csv, Task(), max_text_bytes=1000)


def images_of(tmp_path, source="own"):
    """For each row the bytes of both images as a training gets them, "" where there is none."""
    version = find_version(tmp_path / "datasets", source)
    pairs = read_pairs(version.csv, Task(), max_text_bytes=1000)
    resolved, report = resolve_image_paths(pairs, version.images, missing="mask", max_pixels=10_000)
    assert {problem.reason for problem in report.problems} <= {NOT_ADDED}
    return [
        [Path(path).read_bytes() if path else b"" for path in row] for row in resolved[[*IMAGE_PATH]].values
    ]


def test_every_addition_is_a_version_and_all_stay_readable(add, tmp_path):
    first = add([row(1), row(2)])
    second = add([row(2), row(3, "Contradictory")])
    assert (first.version, first.rows_added, first.total) == (1, 2, 2)
    assert (second.version, second.rows_added, second.duplicates, second.total) == (2, 1, 1, 3)
    assert current(tmp_path)["id_1"].tolist() == ["a1", "a2", "a3"]
    assert current(tmp_path, "own@1")["id_1"].tolist() == ["a1", "a2"]
    assert current(tmp_path)["text_2"][0] == 'second, "1"\r\nline'
    log = json.loads((tmp_path / "datasets" / "own" / "log.json").read_text())["additions"]
    assert [entry["rows_added"] for entry in log] == [2, 1]
    assert len(log[0]["sha256"]) == 64 and log[1]["file"].endswith("new.csv")


def test_nothing_new_makes_no_version_but_is_logged(add, tmp_path):
    add([row(1)])
    again = add([row(1), row(9, text_1="first 1", text_2=row(1)["text_2"])])
    assert (again.version, again.rows_added, again.duplicates, again.conflicts) == (1, 0, 2, 0)
    assert len(json.loads((tmp_path / "datasets" / "own" / "log.json").read_text())["additions"]) == 2


def test_a_log_without_a_format_goes_on_and_one_of_a_newer_version_is_refused(add, tmp_path):
    add([row(1)])
    path = tmp_path / "datasets" / "own" / "log.json"
    path.write_text(json.dumps(json.loads(path.read_text())["additions"]))  # as format 1 was
    assert add([row(2)]).version == 2
    assert current(tmp_path, "own@1")["id_1"].tolist() == ["a1"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 4}))
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DataError, match=r"log\.json is of format 4.* newer version"):
        add([row(3)])
    path.write_text(path.read_text()[:30])
    with pytest.raises(DataError, match=r"log\.json is damaged"):
        add([row(3)])
    assert sorted(path.parent.rglob("*")) == before


def test_another_label_is_a_conflict_and_is_not_added(add, tmp_path):
    add([row(1)])
    same_content = row(7, "NoEntailment", text_1="first 1", text_2=row(1)["text_2"])
    twice = [row(2, text_1="other"), row(2, "Contradictory")]
    addition = add([row(1, "Contradictory"), row(2), same_content, *twice])
    assert addition.rows_added == 1 and addition.conflicts == 4
    found = [(c.row, c.what, c.held, c.given, c.of) for c in addition.conflicting]
    assert found == [
        (1, "label", "Implies", "Contradictory", ("a1", "b1")),
        (3, "label", "Implies", "NoEntailment", ("a1", "b1")),
        (4, "text_1", "first 2", "other", ("a2", "b2")),
        (5, "label", "Implies", "Contradictory", ("a2", "b2")),
    ]
    assert "row 1" in str(addition.conflicting[0]) and "'Contradictory'" in str(addition.conflicting[0])
    assert current(tmp_path)["label"].tolist() == ["Implies", "Implies"]


def test_images_come_along_and_are_never_overwritten(add, tmp_path):
    images = picture(tmp_path / "in" / "a1.png", "red").parent
    (images / "a2.png").write_bytes(b"no image")
    addition = add([row(1), row(2)], images)
    assert addition.images_added == 1 and addition.images_unreadable == 1
    red = (images / "a1.png").read_bytes()
    assert images_of(tmp_path) == [[red, b""], [b"", b""]]
    picture(images / "a1.png", "blue")
    addition = add([row(3, id_1="a1")], images)
    assert addition.rows_added == 0 and addition.conflicting[0].what == "image_1"
    assert images_of(tmp_path) == [[red, b""], [b"", b""]]


def test_images_may_come_later_and_no_version_changes(add, tmp_path):
    rows, images = [row(1), row(2), row(3, id_1="a1")], tmp_path / "in"
    add(rows)
    red = picture(images / "a1.png", "red").read_bytes()
    (images / "a2.png").write_bytes(red[:40])
    later = add(rows, images)
    assert (later.version, later.rows_added, later.rows_updated, later.images_added) == (2, 0, 2, 1)
    assert (later.duplicates, later.images_unreadable, later.total) == (2, 1, 3)
    blue = picture(images / "a2.png", "blue").read_bytes()
    assert (add([row(2)], images).version, add(rows, images).version) == (3, 3)
    green = picture(images / "b9.png", "green").read_bytes()
    assert (
        add([row(4, id_2="b9"), row(1, id_2="b9")], images).version == 4
    )  # what is new comes beside what is held
    assert images_of(tmp_path, "own@1") == [[b"", b""]] * 3
    assert images_of(tmp_path, "own@2") == [[red, b""], [b"", b""], [red, b""]]
    assert images_of(tmp_path, "own@3") == [[red, b""], [blue, b""], [red, b""]]
    assert images_of(tmp_path, "own@4") == [*images_of(tmp_path, "own@3"), [b"", green], [red, green]]
    # A version may begin another data set.
    third, folder = find_version(tmp_path / "datasets", "own@3"), tmp_path / "datasets"
    assert add_pairs(third.csv, third.images, folder, "other", Task(), **LIMITS).images_unreadable == 0
    assert images_of(tmp_path, "other") == images_of(tmp_path, "own@3")


def test_a_table_that_names_a_file_elsewhere_is_refused(add, tmp_path):
    columns = {"image_file_1": "../a.png", "image_file_2": "", "image_sha256_1": "", "image_sha256_2": ""}
    pd.DataFrame([row(1) | columns]).to_csv(tmp_path / "given.csv", index=False)
    with pytest.raises(
        DataError, match=r"row 1, column image_file_1: '\.\./a\.png' cannot name an image file"
    ):
        add_pairs(tmp_path / "given.csv", tmp_path, tmp_path / "datasets", "own", Task(), **LIMITS)


def undecodable_png(path):
    """All checksums are right: only decoding tells."""

    def chunk(kind, data):
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    size = (4).to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"no zlib stream") + chunk(b"IEND", b"")
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return data


@pytest.fixture
def repaired(add, tmp_path):
    """The bytes of an image in version 1 that cannot be decoded, and of the one in version 2 that replaced it."""
    images = tmp_path / "in"
    broken = undecodable_png(images / "a1.png")
    add([row(1)], images)
    red = picture(images / "a1.png", "red").read_bytes()
    addition = add([row(1)], images)
    assert (addition.version, addition.rows_updated, addition.conflicts) == (2, 1, 0)
    return broken, red


def test_an_image_that_cannot_be_decoded_is_replaced_by_a_repaired_one(repaired, tmp_path):
    assert [images_of(tmp_path, f"own@{number}")[0][0] for number in (1, 2)] == list(repaired)


def test_an_image_that_was_lost_is_brought_back(add, tmp_path):
    """Deleted, or overwritten with that of another id, as an earlier program did with ids `a1` and `a1.png`."""
    red = picture(tmp_path / "in" / "a1.png", "red").read_bytes()
    add([row(1)], tmp_path / "in")
    (stored,) = (tmp_path / "datasets" / "own" / "images").iterdir()
    stored.unlink()
    version, folder = find_version(tmp_path / "datasets", "own"), tmp_path / "datasets"
    assert add_pairs(version.csv, version.images, folder, "other", Task(), **LIMITS).images_unreadable == 1
    assert images_of(tmp_path, "other") == [[b"", b""]]
    again = add([row(1), row(1)], tmp_path / "in")
    assert (again.version, again.images_added, again.rows_updated, again.duplicates) == (1, 1, 0, 1)
    assert images_of(tmp_path) == [[red, b""]]
    shutil.rmtree(tmp_path / "datasets")
    old_data_set(tmp_path)
    picture(tmp_path / "datasets" / "own" / "images" / "a1.png", "blue")
    assert add([row(1)], tmp_path / "in").version == 3
    assert images_of(tmp_path) == [[red, b""], [red, b""]]


def test_what_a_killed_addition_left_goes_and_what_an_old_version_holds_stays(add, repaired, tmp_path):
    place = tmp_path / "datasets" / "own"
    (place / ".log.json.ab_cd123").mkdir()
    left = [
        place / ".log.json.ab_cd123" / "log.json",
        place / "images" / ".part",
        place / "images" / ("0" * 64),
    ]
    left.append(place / "pairs-00003.csv")
    own = [place / "pairs-mine.csv", place / ".git" / "HEAD", place / "images" / "mine.png"]
    (place / ".git").mkdir()
    for path in [*left, *own]:
        path.touch()
    assert add([row(1)]).version == 2
    assert not [path for path in left if path.exists()] and all(path.is_file() for path in own)
    assert [images_of(tmp_path, f"own@{number}")[0][0] for number in (1, 2)] == list(repaired)


def test_a_data_set_that_lost_its_log_is_refused_and_loses_nothing_else(add, repaired, tmp_path):
    place = tmp_path / "datasets" / "own"
    (place / "log.json").rename(tmp_path / "kept")
    before = sorted(place.rglob("*"))
    for use in (lambda: add([row(1)]), lambda: find_version(tmp_path / "datasets", "own@1")):
        with pytest.raises(DataError, match=r"own has no log\.json\. Take it from a backup"):
            use()
    assert sorted(place.rglob("*")) == before
    (tmp_path / "kept").rename(place / "log.json")
    assert [images_of(tmp_path, f"own@{number}")[0][0] for number in (1, 2)] == list(repaired)


def test_images_that_the_user_put_where_those_of_the_data_set_go_stay(add, tmp_path):
    folder = tmp_path / "datasets" / "own" / "images"
    (tmp_path / "datasets" / "own").mkdir(parents=True)
    red = picture(folder / "a1.png", "red").read_bytes()
    for _ in range(2):
        add([row(1)], folder)
        assert (folder / "a1.png").read_bytes() == red and images_of(tmp_path) == [[red, b""]]


def test_an_id_that_looks_like_the_file_of_another_has_its_own_image(add, tmp_path):
    red = picture(tmp_path / "one" / "1.png", "red").read_bytes()
    blue = picture(tmp_path / "two" / "1.png.png", "blue").read_bytes()
    add([row(1, id_1="1")], tmp_path / "one")
    (tmp_path / "two" / "1.png.png").rename(tmp_path / "two" / "1.png")
    add([row(2, id_1="1.png"), row(3, id_1="1.png.png")], tmp_path / "two")
    assert images_of(tmp_path) == [[red, b""], [blue, b""], [b"", b""]]


def old_data_set(tmp_path):
    """As format 2 was: files named by id, found by id, also by rows that had none when they were added."""
    place = tmp_path / "datasets" / "own"
    red = picture(tmp_path / "a1.png", "red").read_bytes()
    (place / "images").mkdir(parents=True)
    (place / "images" / "a1.png").write_bytes(red)
    columns = ["image_file_1", "image_file_2", "image_sha256_1", "image_sha256_2"]
    none = dict.fromkeys(columns, "")
    one = none | {"image_file_1": "a1.png", "image_sha256_1": sha256_of_file(tmp_path / "a1.png")}
    tables = [[row(1) | none], [row(1) | none, row(2, id_1="a1") | one]]
    for number, rows in enumerate(tables, 1):
        pd.DataFrame(rows).to_csv(place / f"pairs-0000{number}.csv", index=False, lineterminator="\n")
    additions = [{"version": number, "rows_added": 1} for number in (1, 2)]
    (place / "log.json").write_text(json.dumps({"format": 2, "additions": additions}))
    return red


def test_data_sets_of_earlier_formats_are_read_and_go_on(add, tmp_path):
    red = old_data_set(tmp_path)
    before = [[[b"", b""]], [[red, b""], [red, b""]]]
    assert [images_of(tmp_path, f"own@{number}") for number in (1, 2)] == before
    blue = picture(tmp_path / "in" / "b1.png", "blue").read_bytes()
    assert add([row(1), row(3)], tmp_path / "in").version == 3
    assert [images_of(tmp_path, f"own@{number}") for number in (1, 2)] == before
    after = [[red, blue], [red, b""], [b"", b""]]
    assert images_of(tmp_path) == after
    assert json.loads((tmp_path / "datasets" / "own" / "log.json").read_text())["format"] == 3
    # Nor do they change on their way through a store, whose first version an earlier program has put there.
    store = SharedStore(str(tmp_path / "store"))
    add_pairs(
        write(tmp_path / "new.csv", [row(4)]),
        None,
        tmp_path / "datasets",
        "own",
        Task(),
        **LIMITS,
        shared=store,
    )
    told = tmp_path / "store" / "datasets" / "own" / "00001.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"format": 1}))
    fetch_versions(store, tmp_path / "two" / "datasets", "own")
    found = [images_of(tmp_path / "two", f"own@{number}") for number in (1, 2, 3, 4)]
    assert found == [*before, after, [*after, [b"", b""]]]


def test_one_id_has_one_image_also_within_a_file(add, tmp_path):
    red = picture(tmp_path / "in" / "a1.png", "red").read_bytes()
    picture(tmp_path / "in" / "a1.gif", "blue")
    addition = add([row(1), row(2, id_1="a1", image_1="http://x/a1.gif")], tmp_path / "in")
    assert [(conflict.row, conflict.what) for conflict in addition.conflicting] == [(2, "image_1")]
    assert images_of(tmp_path) == [[red, b""]]


def test_a_pair_of_one_id_with_two_files_is_a_conflict(add, tmp_path):
    red = picture(tmp_path / "in" / "1.png", "red").read_bytes()
    picture(tmp_path / "in" / "1.gif", "blue")
    one = row(1, id_1="1", id_2="1", image_1="http://x/1.png")
    addition = add([one | {"image_2": "http://x/1.gif"}], tmp_path / "in")
    assert [(conflict.row, conflict.what) for conflict in addition.conflicting] == [(1, "image_2")]
    assert add([one | {"image_2": "http://x/1.png"}], tmp_path / "in").images_added == 1
    assert images_of(tmp_path) == [[red, red]]


def test_images_that_are_there_already_are_not_missing(add, tmp_path):
    images = picture(tmp_path / "in" / "a1.png", "red").parent
    picture(images / "b1.png", "blue")
    add([row(1)], images)
    rows = [row(1), row(2, id_1="a1")]
    for folder, problems in ((None, 0), (images, 1), (tmp_path / "datasets", 1)):
        addition = add(rows, folder)
        assert (addition.images_held, addition.images_missing, len(addition.image_problems)) == (
            3,
            1,
            problems,
        )
    assert "Images    0 new, 3 there already, 1 missing, 0 unreadable" in addition_summary(
        addition, tmp_path, "own"
    )
    next((tmp_path / "datasets" / "own" / "images").iterdir()).unlink()
    lost = add(rows)
    assert lost.images_held in (1, 2) and lost.images_held + lost.images_missing == 4
    (images / "b1.png").write_bytes(b"<html>")  # what was given is told
    assert add([row(1)], images).images_unreadable == 1


def test_a_row_that_has_its_image_now_is_no_twin_of_one_without(add, tmp_path):
    picture(tmp_path / "in" / "a1.png", "red")
    add([row(1)])
    twin = row(2, "NoEntailment", text_1="first 1", text_2=row(1)["text_2"])
    addition = add([row(1), twin], tmp_path / "in")
    assert (addition.rows_updated, addition.rows_added, addition.conflicts) == (1, 1, 0)


def test_a_row_without_an_image_is_added_where_that_of_its_id_was_lost(add, tmp_path):
    picture(tmp_path / "in" / "a1.png", "red")
    add([row(1)], tmp_path / "in")
    (stored,) = (tmp_path / "datasets" / "own" / "images").iterdir()
    stored.unlink()
    addition = add([row(1), row(2, id_1="a1")])
    assert (addition.rows_added, addition.duplicates, addition.images_added) == (1, 1, 0)


def test_the_same_texts_with_other_images_are_another_pair(add, tmp_path):
    images = picture(tmp_path / "in" / "a1.png", "red").parent
    picture(images / "a2.png", "blue")
    twins = [row(1), row(2, "NoEntailment", text_1="first 1", text_2=row(1)["text_2"])]
    assert add(twins, images).rows_added == 2


def test_bad_rows_are_refused_by_number_and_leave_nothing(add, tmp_path):
    with pytest.raises(DataError, match="row 2, column label"):
        add([row(1), row(2, "Maybe")])
    assert dataset_names(tmp_path / "datasets") == []
    with pytest.raises(DataError, match="cannot name an image file"):
        add([row(1, id_1="../a")], tmp_path)
    assert dataset_names(tmp_path / "datasets") == []


def test_a_text_that_a_csv_file_does_not_keep_is_refused(add, tmp_path, monkeypatch):
    monkeypatch.setattr(additions, "read_csv", lambda path: add_nothing(path))
    with pytest.raises(DataError, match="Nothing was added"):
        add([row(1)])
    assert find_version(tmp_path / "datasets", "own") is None


def add_nothing(path):
    import pandas as pd

    return pd.DataFrame({"id_1": ["other"]})


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a.csv", ".x", "sample", "sample-1", "tweets", "x" * 65, "a@2"]
)
def test_names_that_are_no_names_are_refused(add, name):
    with pytest.raises(ConfigurationError, match="--to"):
        add([row(1)], name=name)


def test_a_source_is_found_by_name_and_an_unknown_one_lists_the_known(add, tmp_path):
    add([row(1)])
    folder = tmp_path / "datasets"
    found = locate(Dataset(source="own"), Tweets(), folder)
    assert (found.name, found.version, found.generated) == ("own", 1, False)
    assert not is_path("own", folder) and is_path("./own", folder) and not is_path("sample", folder)
    for source, words in (
        (
            "onw",
            r"no data set of that name\. Did you mean 'own'\? --dataset must be one of sample, tweets, own, or",
        ),
        (str(tmp_path / "Own@2"), "Did you mean 'own'"),
        ("quite-another", r"of that name\. --dataset must be"),
        (str(tmp_path), "is a folder, not a table of pairs"),
        (" ", "The name of the data set is empty"),
    ):
        with pytest.raises(DataError, match=words):
            locate(Dataset(source=source), Tweets(), folder)
    with pytest.raises(DataError, match="no version '5'"):
        locate(Dataset(source="own@5"), Tweets(), folder)
    with pytest.raises(ConfigurationError, match="has its own images"):
        locate(Dataset(source="own", images="x"), Tweets(), folder)


def _add(file, folder):
    add_pairs(file, None, folder, "own", Task(), **LIMITS)


def _add_and_die(file, images, folder, store, writes):
    """Ends, as if killed, before this many-th thing that it would do to a file; 0 where it came to its end before."""

    def count(event, arguments):
        nonlocal writes
        writing = (
            event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR) and str(arguments[0]).startswith("/")
        )
        if event in ("os.rename", "os.link") or writing:
            writes -= 1
            if not writes:
                os._exit(9)

    sys.addaudithook(count)
    add_pairs(file, images, folder, "own", Task(), **LIMITS, shared=SharedStore(str(store)))
    os._exit(0)


def test_killed_at_any_moment_the_same_command_finishes_it_and_leaves_nothing_else(tmp_path):
    images, start = tmp_path / "in", tmp_path / "start"
    picture(images / "a1.png", "red")
    picture(images / "a2.png", "blue")
    undecodable_png(images / "b2.png")
    (images / "b1.png").touch()
    first, file = write(tmp_path / "first.csv", [row(1)]), write(tmp_path / "second.csv", [row(1), row(2)])
    add_pairs(
        first, None, start / "datasets", "own", Task(), **LIMITS, shared=SharedStore(str(start / "store"))
    )
    shutil.rmtree(start / "datasets")  # so that version 1 is fetched before version 2 is made

    def tree():
        """All files, but for what a killed writer leaves in a store: another machine may be writing there."""
        kept = {path.relative_to(tmp_path / "now").as_posix() for path in (tmp_path / "now").rglob("*")}
        return {path for path in kept if not path.startswith("store/datasets/own/.")}

    context, died, expected = multiprocessing.get_context("fork"), 0, None
    for number in [10_000, *range(1, 200)]:
        shutil.rmtree(tmp_path / "now", ignore_errors=True)
        shutil.copytree(start, tmp_path / "now")
        given = file, images, tmp_path / "now" / "datasets"
        process = context.Process(target=_add_and_die, args=(*given, tmp_path / "now" / "store", number))
        process.start()
        process.join()
        assert process.exitcode in (0, 9)
        if expected is None:
            expected = tree(), images_of(tmp_path / "now")
            assert len(expected[1]) == 2 and all(expected[1][1])
            continue
        died += process.exitcode == 9
        again = add_pairs(
            *given, "own", Task(), **LIMITS, shared=SharedStore(str(tmp_path / "now" / "store"))
        )
        assert (again.version, again.total, again.conflicts) == (2, 2, 0)
        assert (tree(), images_of(tmp_path / "now")) == expected
        if process.exitcode == 0:
            break
    assert died > 15


def test_two_processes_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    files = [write(tmp_path / f"{n}.csv", [row(10 * n + k) for k in range(5)]) for n in range(4)]
    processes = [context.Process(target=_add, args=(file, tmp_path / "datasets")) for file in files]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(current(tmp_path)) == 20
    assert find_version(tmp_path / "datasets", "own").number == 4


def test_columns_of_further_kinds_of_input_are_kept(tmp_path):
    rule = {"numbers": (r"\d+", "a number")}

    def added(name, **columns):
        file = tmp_path / f"{name}.csv"
        row = [f"{name}1", f"text {name}", "", f"{name}2", "other", "", "Implies"]
        pd.DataFrame([row], columns=list(PAIR_COLUMNS)).assign(**columns).to_csv(file, index=False)
        return add_pairs(file, None, tmp_path / "datasets", "own", Task(), **LIMITS, further=rule)

    added("a")
    added("b", numbers_1="4", numbers_2="")
    third = added("b", numbers_1="5", numbers_2="")
    assert [(c.what, c.held, c.given) for c in third.conflicting] == [("numbers_1", "4", "5")]
    added("c")
    held = find_version(tmp_path / "datasets", "own")
    assert held.number == 3
    table = read_pairs(held.csv, Task(), max_text_bytes=1000, further=rule)
    assert table["numbers_1"].tolist() == ["", "4", ""]


def test_tables_are_read_as_a_training_reads_them(tmp_path):
    """Surplus columns, another order and a BOM are taken; another encoding or a packed file is refused alike."""

    def table(rows):
        return pd.DataFrame(rows)[["surplus", *reversed(PAIR_COLUMNS)]].to_csv(
            index=False, lineterminator="\n"
        )

    def added(data):
        (tmp_path / "new.csv").write_bytes(data)
        return add_pairs(tmp_path / "new.csv", None, tmp_path / "datasets", "own", Task(), **LIMITS)

    text = table([row(1, text_1="ümlaut", surplus="x")])
    assert added(b"\xef\xbb\xbf" + text.encode()).rows_added == 1
    assert current(tmp_path)["text_1"].tolist() == ["ümlaut"]
    assert list(current(tmp_path).columns[:7]) == list(PAIR_COLUMNS)
    for data in (
        text.encode("latin-1"),
        text.encode("utf-16"),
        gzip.compress(text.encode()),
        b"",
        b"id_1\n1\n",
    ):
        with pytest.raises(DataError) as of_add:
            added(data)
        with pytest.raises(DataError) as of_training:
            read_pairs(tmp_path / "new.csv", Task(), max_text_bytes=1000)
        assert str(of_add.value) == str(of_training.value)
    assert find_version(tmp_path / "datasets", "own").number == 1


def test_the_command_names_the_images_that_it_did_not_take_and_nothing_else(tmp_path):
    """A GIF and a BMP are decoded to be looked at, which needs no TensorFlow with the lines of its start."""
    images = picture(tmp_path / "in" / "a1.gif", "red").parent
    picture(images / "a2.bmp", "blue")
    (images / "a2.bmp").write_bytes((images / "a2.bmp").read_bytes()[:-9])
    for number in range(3, 9):
        (images / f"a{number}.png").write_bytes(b"<html>")
    file = write(tmp_path / "new.csv", [row(number, image_1="", id_2="a1") for number in range(1, 10)])
    command = [sys.executable, str(PROJECT / "run_pipeline.py"), "add", str(file), "--images", str(images)]
    environment = {name: value for name, value in os.environ.items() if name != "ENTAILMENT_STORE"}
    done = subprocess.run(
        [*command, "--to", "own"],
        env=environment | {"ENTAILMENT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    whole = tmp_path / "datasets" / "own" / "unusable_images.csv"
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[2] == "Images    1 new, 1 missing, 7 unreadable"
    assert lines[3].startswith("Not used  row 2, image_1 (a2.bmp): damaged or cut short")
    assert lines[4].startswith("Not used  row 3, image_1 (a3.png): text, perhaps a web page")
    assert lines[8:] == [f"          and 3 more; all of them: {whole}"]
    with whole.open(newline="") as table:
        problems = list(csv.DictReader(table))
    assert [problem["row"] for problem in problems] == [str(number) for number in range(2, 10)]
    assert problems[-1]["file"] == "a9.*" and problems[-1]["reason"].startswith("no file of this id")
