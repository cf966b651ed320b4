"""A data set of our own: what an addition brings, refuses and survives."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from entailment.configuration.dataset import Dataset, Tweets
from entailment.configuration.task import Task
from entailment.data import additions
from entailment.data.additions import add_pairs
from entailment.data.pairs import read_pairs
from entailment.data.sources import is_path, locate
from entailment.data.versions import dataset_names, find_version
from entailment.errors import ConfigurationError, DataError
from entailment.task import PAIR_COLUMNS

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
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 3}))
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DataError, match=r"log\.json is of format 3.* newer version"):
        add([row(3)])
    assert sorted(path.parent.rglob("*")) == before


def test_another_label_is_a_conflict_and_is_not_added(add, tmp_path):
    add([row(1)])
    same_content = row(7, "NoEntailment", text_1="first 1", text_2=row(1)["text_2"])
    addition = add([row(1, "Contradictory"), row(2), same_content, row(2, text_1="other")])
    assert addition.rows_added == 1 and addition.conflicts == 3
    found = [(c.row, c.what, c.held, c.given, c.of) for c in addition.conflicting]
    assert found == [
        (1, "label", "Implies", "Contradictory", ("a1", "b1")),
        (3, "label", "Implies", "NoEntailment", ("a1", "b1")),
        (4, "text_1", "first 2", "other", ("a2", "b2")),
    ]
    assert "row 1" in str(addition.conflicting[0]) and "'Contradictory'" in str(addition.conflicting[0])
    assert current(tmp_path)["label"].tolist() == ["Implies", "Implies"]


def test_images_come_along_and_are_never_overwritten(add, tmp_path):
    images = picture(tmp_path / "in" / "a1.png", "red").parent
    (images / "a2.png").write_bytes(b"no image")
    addition = add([row(1), row(2)], images)
    kept = tmp_path / "datasets" / "own" / "images"
    assert addition.images_added == 1 and addition.images_unreadable == 1
    before = (kept / "a1.png").read_bytes()
    assert sorted(path.name for path in kept.iterdir()) == ["a1.png"]
    picture(images / "a1.png", "blue")
    addition = add([row(3, id_1="a1")], images)
    assert addition.rows_added == 0 and addition.conflicting[0].what == "image_1"
    assert (kept / "a1.png").read_bytes() == before


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
        add([row(1, id_1="../a")])


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
    with pytest.raises(DataError, match="sample, tweets, own"):
        locate(Dataset(source="onw"), Tweets(), folder)
    with pytest.raises(DataError, match="no version '5'"):
        locate(Dataset(source="own@5"), Tweets(), folder)
    with pytest.raises(ConfigurationError, match="has its own images"):
        locate(Dataset(source="own", images="x"), Tweets(), folder)


def _die_before_the_log(file, images, folder):
    additions.write_json = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    add_pairs(file, images, folder, "own", Task(), **LIMITS)


def _add(file, folder):
    add_pairs(file, None, folder, "own", Task(), **LIMITS)


def test_a_killed_addition_is_in_no_version_and_is_cleared_away(add, tmp_path):
    add([row(1)])
    images = picture(tmp_path / "in" / "a2.png", "red").parent
    file = write(tmp_path / "second.csv", [row(2)])
    process = multiprocessing.get_context("fork").Process(
        target=_die_before_the_log, args=(file, images, tmp_path / "datasets")
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    place = tmp_path / "datasets" / "own"
    assert (place / "pairs-00002.csv").is_file() and (place / "images" / "a2.png").is_file()
    assert len(current(tmp_path)) == 1
    picture(images / "a2.png", "blue")
    addition = add_pairs(file, images, tmp_path / "datasets", "own", Task(), **LIMITS)
    assert (addition.version, addition.rows_added, addition.conflicts) == (2, 1, 0)
    assert (place / "images" / "a2.png").read_bytes() == Path(images / "a2.png").read_bytes()


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
