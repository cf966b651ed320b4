"""TFRecord files: what goes in comes out, damage is found, nothing is half-written."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from entailment.configuration.model import ModelConfiguration
from entailment.data.images import decode_images
from entailment.errors import DataError, EntailmentError, ImageError
from entailment.files import read_json, write_json
from entailment.records import writing
from entailment.records.index import ABSENT, content_key, read_index
from entailment.records.manifest import RecordsFolder, read_manifest, records_hash
from entailment.records.reading import read_rows, records_dataset
from entailment.records.writing import records_key, write_records
from entailment.task import ID

SIZE = 32


def picture(path, colour):
    pixels = np.full((40, 50, 3), colour, np.uint8)
    pixels[:20] //= 2
    Image.fromarray(pixels).save(path)
    return str(path)


def table(tmp_path, rows=7):
    picture(tmp_path / "a.png", (200, 100, 50))
    frame = pd.DataFrame(
        {
            "id_1": [f"1{i}" for i in range(rows)],
            "text_1": [f"first {i} 🌉" for i in range(rows)],
            "image_path_1": str(tmp_path / "a.png"),
            "image_status_1": "ok",
            "id_2": [f"2{i}" for i in range(rows)],
            "text_2": [f"second {i}" for i in range(rows)],
            "image_path_2": "",
            "image_status_2": "missing",
            "label_index": [i % 3 for i in range(rows)],
            "split": ["train"] * (rows - 2) + ["validation", "test"],
        }
    )
    return frame


def spec(missing="mask", with_images=True):
    return ModelConfiguration.model_validate(
        {
            "inputs": "multimodal" if with_images else "text",
            "images": {"size": SIZE, "max_pixels": 1_000_000, "missing": missing},
            "records": {"rows_per_shard": 3},
        }
    )


def test_rows_come_back_as_they_were(tmp_path):
    frame = table(tmp_path)
    manifest = write_records(frame, tmp_path / "records", spec())
    assert [f["rows"] for f in manifest["splits"]["train"]["files"]] == [3, 2]
    rows = list(read_rows(tmp_path / "records", "train"))
    assert [row.ids for row in rows] == [(f"1{i}", f"2{i}") for i in range(5)]
    assert rows[4].values["text"] == ("first 4 🌉", "second 4")
    assert [row.label for row in rows] == [0, 1, 2, 0, 1]
    assert all(row.values["image"][1] is None for row in rows)
    expected, _ = decode_images([(tmp_path / "a.png").read_bytes()], SIZE, 1_000_000, 10**9)
    assert (rows[0].values["image"][0] == expected[0]).all()


def test_the_manifest_says_what_an_example_holds(tmp_path):
    write_records(table(tmp_path), tmp_path / "records", spec())
    example = next(iter(records_dataset(tmp_path / "records", "test").as_numpy_iterator()))
    assert example["text_2"] == b"second 6"
    kinds = read_manifest(tmp_path / "records")["kinds"]
    assert set(example) - {"row", "label", *ID} == {f"{kind}_{side}" for kind in kinds for side in (1, 2)}


def test_texts_alone_need_neither_images_nor_their_files(tmp_path):
    frame = table(tmp_path).assign(image_path_1="/nowhere.png")
    write_records(frame, tmp_path / "records", spec(with_images=False))
    assert all(set(row.values) == {"text"} for row in read_rows(tmp_path / "records", "train"))


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_records(table(tmp_path), tmp_path / name, spec())
    assert records_hash(tmp_path / "one") == records_hash(tmp_path / "two")
    write_records(table(tmp_path).assign(text_1="other"), tmp_path / "two", spec())
    assert records_hash(tmp_path / "one") != records_hash(tmp_path / "two")


@pytest.mark.parametrize("policy", ["mask", "drop", "error"])
def test_an_image_that_cannot_be_decoded_follows_the_policy(tmp_path, policy):
    frame = table(tmp_path)
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    frame.loc[1, "image_path_1"] = str(tmp_path / "bad.png")
    if policy == "error":
        with pytest.raises(ImageError, match=r"bad\.png cannot be decoded"):
            write_records(frame, tmp_path / "records", spec(policy))
        assert not (tmp_path / "records").exists()
        return
    manifest = write_records(frame, tmp_path / "records", spec(policy))
    assert [name for name, _ in manifest["unreadable"]] == ["bad.png"]
    rows = list(read_rows(tmp_path / "records", "train"))
    assert len(rows) == (5 if policy == "mask" else 4)
    assert [row.ids[0] for row in rows if row.values["image"][0] is None] == (
        ["11"] if policy == "mask" else []
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_named(tmp_path, damage):
    write_records(table(tmp_path), tmp_path / "records", spec())
    shard = sorted((tmp_path / "records").glob("train-*"))[1]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        shard.unlink()
    else:
        shard.write_bytes(data if damage == "flip" else data[:-5])
    with pytest.raises(DataError) as caught:
        list(read_rows(tmp_path / "records", "train"))
    assert str(shard) in str(caught.value) and "--no-cache" in str(caught.value)
    assert len(list(read_rows(tmp_path / "records", "test"))) == 1


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"format": 1}'])
def test_a_broken_manifest_is_explained(tmp_path, content):
    (tmp_path / "records").mkdir()
    if content is not None:
        (tmp_path / "records" / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="no-cache"):
        read_manifest(tmp_path / "records")


def test_records_of_a_newer_version_are_refused(tmp_path):
    write_records(table(tmp_path), tmp_path / "records", spec())
    manifest = tmp_path / "records" / "manifest.json"
    write_json(manifest, read_json(manifest) | {"format": 6})
    with pytest.raises(DataError, match=r"manifest\.json is of format 6.* up to 5: a newer version"):
        read_index(tmp_path / "records", "train")


def test_a_failure_half_way_leaves_what_was_there(tmp_path):
    write_records(table(tmp_path), tmp_path / "records", spec())
    before = records_hash(tmp_path / "records")

    frame = table(tmp_path)
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    frame.loc[len(frame) - 1, "image_path_1"] = str(tmp_path / "bad.png")
    with pytest.raises(ImageError):
        write_records(frame, tmp_path / "records", spec("error"))
    assert records_hash(tmp_path / "records") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "bad.png", "records"]


def test_records_that_do_not_fit_are_not_begun(tmp_path, monkeypatch):
    frame = pd.concat([table(tmp_path)] * 10, ignore_index=True)
    manifest = write_records(frame, tmp_path / "records", spec())
    split = [[*one["files"], one["index"]] for one in manifest["splits"].values()]
    taken = sum(file["bytes"] for files in split for file in files)
    room = writing._bytes_needed(frame, spec(), manifest["kinds"])
    assert 0.8 * taken < room < 1.2 * taken
    monkeypatch.setattr("entailment.disks.free_bytes", lambda folder: room - 10_000)
    with pytest.raises(EntailmentError, match=r"The records of 70 pairs need about .* 0\.0 MB are missing"):
        write_records(frame, tmp_path / "more", spec())
    assert not (tmp_path / "more").exists()


def test_the_image_size_is_the_manifest_s(tmp_path):
    write_records(table(tmp_path), tmp_path / "records", spec())
    assert RecordsFolder.at(tmp_path / "records").image_size == SIZE


def test_an_image_in_the_records_is_its_pixels(tmp_path):
    import tensorflow as tf

    write_records(table(tmp_path), tmp_path / "records", spec())
    raw = next(iter(tf.data.TFRecordDataset(str(sorted((tmp_path / "records").glob("test-*"))[0]))))
    example = tf.train.Example.FromString(raw.numpy())
    pixels = example.features.feature["image_1"].bytes_list.value[0]
    expected, _ = decode_images([(tmp_path / "a.png").read_bytes()], SIZE, 1_000_000, 10**9)
    assert (np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE, 3) == expected[0]).all()


def test_splits_may_lie_mixed_in_the_table(tmp_path):
    frame = table(tmp_path, 9).assign(split=3 * ["train", "validation", "test"])
    frame.index = range(9, 0, -1)
    write_records(frame, tmp_path / "records", spec())
    for start, split in enumerate(("train", "validation", "test")):
        ids = [row.ids[0] for row in read_rows(tmp_path / "records", split)]
        assert ids == [f"1{i}" for i in range(start, 9, 3)]


def test_the_index_says_who_the_rows_are_and_what_they_hold(tmp_path):
    write_records(table(tmp_path).assign(text_2=""), tmp_path / "records", spec())
    index, rows = read_index(tmp_path / "records", "train"), list(read_rows(tmp_path / "records", "train"))
    assert len(index) == 5
    assert index.ids.dtypes.astype(str).to_dict() == {"id_1": "str", "id_2": "str"}
    assert list(index.ids.itertuples(index=False, name=None)) == [row.ids for row in rows]
    assert (index.labels.dtype, index.labels.tolist()) == (np.int64, [row.label for row in rows])
    assert index.keys["text"][:, 0].tolist() == _keys(row.values["text"][0].encode() for row in rows)
    assert index.keys["image"][:, 0].tolist() == _keys(row.values["image"][0].tobytes() for row in rows)
    assert all((keys[:, 1] == ABSENT).all() for keys in index.keys.values())


def _keys(data):
    return np.array([content_key(one) for one in data], "S16").tolist()


def test_a_key_stays_what_it_is():
    """Stored features are found by it in later runs."""
    assert content_key(b"a text").hex() == "5c74c3b7e91487d2f8980492770efa7c"
    assert content_key(b"") != content_key(b"\0")


def test_the_index_lacks_dropped_rows(tmp_path):
    frame = table(tmp_path)
    frame.loc[1, "image_path_1"] = str(tmp_path / "nowhere.png")
    write_records(frame, tmp_path / "records", spec("drop"))
    assert read_index(tmp_path / "records", "train").ids["id_1"].tolist() == ["10", "12", "13", "14"]
    rows = read_rows(tmp_path / "records", "train", np.array([1, 3]))
    assert [row.ids[0] for row in rows] == ["12", "14"]


@pytest.mark.parametrize("rows", [[], [0], [1, 2, 3], [4], [0, 1, 2, 3, 4]])
def test_some_rows_are_those_of_all(tmp_path, rows):
    write_records(table(tmp_path), tmp_path / "records", spec())
    every = list(read_rows(tmp_path / "records", "train"))
    some = list(read_rows(tmp_path / "records", "train", np.array(rows, np.int64)))
    assert [(row.ids, row.values["text"], row.label) for row in some] == [
        (every[n].ids, every[n].values["text"], every[n].label) for n in rows
    ]
    assert all(
        (row.values["image"][0] == every[n].values["image"][0]).all()
        for row, n in zip(some, rows, strict=True)
    )


def test_only_files_that_hold_wanted_rows_are_opened(tmp_path):
    write_records(table(tmp_path), tmp_path / "records", spec())
    first, second = sorted((tmp_path / "records").glob("train-*"))
    second.write_bytes(b"damaged")
    assert len(list(read_rows(tmp_path / "records", "train", np.array([0, 2])))) == 2
    with pytest.raises(DataError, match=second.name):
        list(read_rows(tmp_path / "records", "train", np.array([0, 3])))
    assert first.is_file() and len(read_index(tmp_path / "records", "train")) == 5


@pytest.mark.parametrize("damage", ["cut", "remove"])
def test_a_damaged_index_is_named(tmp_path, damage):
    write_records(table(tmp_path), tmp_path / "records", spec())
    path = tmp_path / "records" / "train.index.arrow"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"train\.index\.arrow .*--no-cache"):
        read_index(tmp_path / "records", "train")
    assert len(list(read_rows(tmp_path / "records", "train"))) == 5


def _order(dataset):
    return [example["id_1"].decode() for example in dataset.as_numpy_iterator()]


def test_for_training_the_order_changes_from_epoch_to_epoch_but_not_from_run_to_run(tmp_path):
    write_records(table(tmp_path, 60), tmp_path / "records", spec(with_images=False))
    written = [f"1{i}" for i in range(58)]
    one, two, other = (records_dataset(tmp_path / "records", "train", seed) for seed in (5, 5, 6))
    epochs = [_order(one) for _ in range(3)]
    assert [_order(two) for _ in range(3)] == epochs
    assert all(sorted(epoch) == sorted(written) for epoch in epochs)
    assert len({tuple(order) for order in (*epochs, written, _order(other))}) == 5
    assert _order(two.repeat(2))[:58] != _order(two.repeat(2))[58:]
    assert _order(records_dataset(tmp_path / "records", "train")) == written


def test_files_are_mixed_before_the_shuffle(tmp_path, monkeypatch):
    """Where only a few rows fit into the shuffle, rows that were written far apart still meet in a batch."""
    monkeypatch.setattr("entailment.records.reading._SHUFFLED_BYTES", 1)
    write_records(table(tmp_path, 62), tmp_path / "records", spec(with_images=False))
    first = [int(number[1:]) for number in _order(records_dataset(tmp_path / "records", "train", 5))[:16]]
    assert len({number // 3 for number in first}) == 16


def test_trainable_encoders_get_batches_of_inputs_as_they_are_stored(tmp_path):
    write_records(table(tmp_path), tmp_path / "records", spec())
    batch = next(iter(records_dataset(tmp_path / "records", "train", 1).batch(5)))
    index = read_index(tmp_path / "records", "train")
    assert index.ids["id_1"][batch["row"].numpy()].tolist() == [i.decode() for i in batch["id_1"].numpy()]
    in_order = records_dataset(tmp_path / "records", "train", kinds=["text"]).batch(5)
    assert next(iter(in_order))["row"].numpy().tolist() == [0, 1, 2, 3, 4]
    assert "image_1" not in in_order.element_spec
    assert batch["text_1"].numpy()[0].decode().startswith("first ")
    assert {len(pixels) for pixels in batch["image_1"].numpy()} == {SIZE * SIZE * 3}
    assert batch["image_2"].numpy().tolist() == [b""] * 5


def test_the_key_of_records_depends_on_what_they_hold_alone(tmp_path):
    tables = []
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        tables.append(table(tmp_path / name))
    here, elsewhere = tables
    key = records_key(here, spec(), "code")
    assert records_key(elsewhere, spec(), "code") == key
    picture(elsewhere["image_path_1"][0], (0, 90, 200))
    others = (elsewhere, spec(), "code"), (here, spec(), "other code"), (here, spec("drop"), "code")
    texts = here.assign(text_1=["another", *here["text_1"][1:]])
    keys = {records_key(*other) for other in (*others, (texts, spec(), "code"))}
    assert len(keys) == 4 and key not in keys
