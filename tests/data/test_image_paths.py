import json
import os
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entailment.data.image_paths import (
    NO_FILE,
    NO_FOLDER,
    folder_fingerprint,
    resolve_image_paths,
    url_extension,
    without_images,
)
from entailment.errors import DataError, ImageError
from entailment.task import ID, IMAGE_PATH, IMAGE_REASON, IMAGE_STATUS, IMAGE_URL, PAIR_COLUMNS

MAX_PIXELS = 1_000_000


def encode(kind, **options):
    stream = BytesIO()
    rows, columns = np.mgrid[0:30, 0:40]
    Image.fromarray(np.stack([rows * 5, columns * 5, rows + columns], -1).astype(np.uint8)).save(
        stream, kind, **options
    )
    return stream.getvalue()


JPEG, PNG, GIF, BMP, WEBP, TIFF = (encode(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"))


def huge_png():
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return PNG[:12] + header + struct.pack(">I", zlib.crc32(header)) + PNG[33:]


def table(*sides, url="http://a.example/x.jpg"):
    """A table of pairs from (id_1, id_2) tuples."""
    rows = [(one, "a", url, two, "b", url, "Implies") for one, two in sides]
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).astype("str")


def resolve(pairs, folder, missing="mask"):
    return resolve_image_paths(pairs, folder, missing=missing, max_pixels=MAX_PIXELS)


def first(frame, columns):
    return frame[columns[0]].iloc[0]


@pytest.mark.parametrize(
    ("url", "extension"),
    [
        ("http://pbs.twimg.com/media/ExeIV.jpg", "jpg"),
        ("http://pbs.twimg.com/media/ExeIV.PNG?name=small.gif#part.bmp", "PNG"),
        ("https://pbs.twimg.com/media/ExeIV?format=jpg&name=small", "jpg"),
        ("https://pbs.twimg.com/media/ExeIV?name=small&format=png", "png"),
        ("http://a.example/x.jpeg/", ""),
        ("http://a.example/plain", ""),
        ("http://[::1/broken.jpeg", "jpeg"),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
    ],
)
def test_extension_comes_from_the_urls_path(url, extension):
    assert url_extension(url) == extension


@given(url=st.text(max_size=60))
def test_an_extension_of_any_url_is_no_path(url):
    assert not set(url_extension(url)) & set("/\\.")


def test_the_urls_extension_chooses_among_several_files(tmp_path):
    for name in ("7.png", "7.jpg", "7.txt", "7.JPEG"):
        (tmp_path / name).write_bytes(JPEG)
    chosen = {}
    for url in ("http://a/x.png", "http://a/x.jpg", "http://a/x.jpeg", "http://a/x.gif", "http://a/x"):
        resolved, _ = resolve(table(("7", "7"), url=url), tmp_path)
        chosen[url[8:]] = Path(first(resolved, IMAGE_PATH)).name
    assert chosen == {
        "/x.png": "7.png",
        "/x.jpg": "7.jpg",
        "/x.jpeg": "7.JPEG",
        "/x.gif": "7.JPEG",
        "/x": "7.JPEG",
    }


ids = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=40).filter(
    lambda text: text not in (".", "..") and len(text.encode()) < 200
)
extensions = st.sampled_from(["jpg", "JPG", "Jpeg", "jpeg", "png", "PnG", "gif", "bmp", "x1", ""])


@given(image_id=ids, extension=extensions, url=st.text(max_size=40) | st.none())
@settings(deadline=None)
def test_a_file_is_found_under_any_extension_whatever_the_url(tmp_path_factory, image_id, extension, url):
    folder = tmp_path_factory.mktemp("images")
    file = folder / (f"{image_id}.{extension}" if extension else image_id)
    file.write_bytes(JPEG)
    resolved, report = resolve(table((image_id, image_id)).assign(image_1=url), folder)
    assert Path(first(resolved, IMAGE_PATH)) == file
    assert report.usable == 2


@given(image_id=st.text(st.sampled_from("./\\\0ab~: ")) | st.text(st.characters(codec="utf-8"), max_size=30))
@settings(deadline=None)
def test_no_id_ever_leaves_the_folder(tmp_path_factory, image_id):
    root = tmp_path_factory.mktemp("root")
    folder = root / "images"
    folder.mkdir()
    (root / "a.jpg").write_bytes(JPEG)
    (folder / "a.jpg").write_bytes(JPEG)
    try:
        resolved, _ = resolve(table((image_id, "a")), folder)
    except DataError as error:
        assert "row 1, column id_1" in str(error)
        return
    path = first(resolved, IMAGE_PATH)
    assert path == "" or Path(path).parent == folder


@pytest.mark.parametrize("bad", ["../a", "/etc/passwd", "a/b", "a\\b", "a\0", "", ".", "..", None])
@pytest.mark.parametrize("folder", [True, False])
def test_an_unsafe_id_is_refused_by_row_and_column(tmp_path, bad, folder):
    pairs = table(("1", "2"), ("3", "4"))
    pairs.loc[1, "id_2"] = bad
    with pytest.raises(DataError, match="row 2, column id_2"):
        resolve(pairs, tmp_path if folder else None)
    assert len(without_images(pairs)[0]) == 2


def test_a_model_that_sees_no_images_gets_what_there_is_without_a_folder():
    pairs = table(("1", "2"), ("3", "4"))
    (resolved, report), (expected, told) = without_images(pairs), resolve(pairs, None)
    pd.testing.assert_frame_equal(resolved, expected)
    assert report == told


CONTENTS = {
    "sound jpeg": (JPEG, "ok", ""),
    "png called jpg": (PNG, "ok", ""),
    "gif": (GIF, "ok", ""),
    "bmp": (BMP, "ok", ""),
    "webp": (WEBP, "ok", ""),
    "tiff": (TIFF, "ok", ""),
    "jpeg with bytes after its end": (JPEG + b"\0" * 9, "ok", ""),
    "text": (b"sorry, gone", "unreadable", "not a JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF"),
    "empty": (b"", "unreadable", "empty file"),
    "truncated jpeg": (JPEG[:-50], "unreadable", "JPEG data cannot be decoded"),
    "jpeg cut in its thumbnail": (JPEG[:20] + b"\xff\xd9", "unreadable", "header cannot be read"),
    "truncated png": (PNG[:-20], "unreadable", "PNG data cannot be decoded"),
    "png without its last chunk": (PNG[:-12], "unreadable", "PNG data cannot be decoded"),
    "png with a flipped byte": (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "unreadable", "PNG data cannot"),
    "truncated gif": (GIF[:-300], "unreadable", "GIF data cannot be decoded"),
    "truncated bmp": (BMP[:-300], "unreadable", "BMP data cannot be decoded"),
    "truncated webp": (WEBP[:-20], "unreadable", "cut short"),
    "truncated tiff": (TIFF[:-300], "unreadable", "TIFF data cannot be decoded"),
    "30,000 x 30,000": (huge_png(), "unreadable", "too large: 30000 x 30000 pixels"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_content_decides_the_status(tmp_path, name):
    content, status, words = CONTENTS[name]
    (tmp_path / "1.jpg").write_bytes(content)
    resolved, _ = resolve(table(("1", "2")), tmp_path)
    assert first(resolved, IMAGE_STATUS) == status
    assert words in first(resolved, IMAGE_REASON)
    assert first(resolved, IMAGE_PATH) == str(tmp_path / "1.jpg")
    assert resolved[IMAGE_STATUS[1]].tolist() == ["missing"]
    assert resolved[IMAGE_REASON[1]].tolist() == [NO_FILE]
    assert resolved[IMAGE_PATH[1]].tolist() == [""]


def test_a_text_file_called_png_is_unreadable(tmp_path):
    (tmp_path / "1.png").write_text("<html>404</html>")
    resolved, _ = resolve(table(("1", "1"), url="http://a/x.png"), tmp_path)
    assert "web page" in first(resolved, IMAGE_REASON)


def test_what_is_no_regular_file_is_missing(tmp_path):
    (tmp_path / "1.jpg").mkdir()
    os.mkfifo(tmp_path / "2.jpg")
    (tmp_path / "3.jpg").symlink_to(tmp_path / "nowhere")
    resolved, report = resolve(table(("1", "2"), ("3", "4")), tmp_path)
    assert report.counts["image_1"]["missing"] == report.counts["image_2"]["missing"] == 2
    assert set(resolved[IMAGE_STATUS[0]]) == {"missing"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_unreadable(tmp_path):
    (tmp_path / "1.jpg").write_bytes(JPEG)
    (tmp_path / "1.jpg").chmod(0)
    resolved, _ = resolve(table(("1", "1")), tmp_path)
    assert "Permission denied" in first(resolved, IMAGE_REASON)


@pytest.fixture
def mixed(tmp_path):
    """Three rows: both images ok, the second missing, the first unreadable."""
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(JPEG)
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    return table(("a", "b"), ("c", "gone"), ("bad", "a")), tmp_path


def test_mask_keeps_every_row_and_counts(mixed):
    pairs, folder = mixed
    before = pairs.copy()
    resolved, report = resolve(pairs, folder)
    pd.testing.assert_frame_equal(pairs, before)
    pd.testing.assert_frame_equal(resolved[list(PAIR_COLUMNS)], before)
    assert report.counts == {
        "image_1": {"ok": 2, "missing": 0, "unreadable": 1},
        "image_2": {"ok": 2, "missing": 1, "unreadable": 0},
    }
    assert (report.rows, report.rows_dropped, report.usable) == (3, 0, 4)
    assert [str(problem) for problem in report.problems] == [
        f"row 2, image_2 (gone.*): {NO_FILE}",
        "row 3, image_1 (bad.jpg): not a JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF image",
    ]
    assert json.loads(json.dumps(report.as_dict()))["problems"][0]["row"] == 2


def test_rows_by_batches_are_the_same_rows(mixed, monkeypatch):
    pairs, folder = mixed
    pairs = pd.concat([pairs] * 3).set_index(pd.Index(range(9, 0, -1)))
    whole, report = resolve(pairs, folder)
    monkeypatch.setattr("entailment.data.image_paths._ROWS_AT_ONCE", 2)
    batched, again = resolve(pairs, folder)
    pd.testing.assert_frame_equal(batched, whole)
    assert again == report
    assert whole[IMAGE_STATUS[1]].tolist() == 3 * ["ok", "missing", "ok"]


def test_an_id_with_a_dot_names_a_file_itself(tmp_path):
    for name in ("a.b", "c.d.png", "e"):
        (tmp_path / name).write_bytes(JPEG)
    resolved, _ = resolve(table(("a.b", "c.d"), ("e", "a"), ("c.x", ".b")), tmp_path)
    names = [[Path(path).name for path in resolved[column]] for column in IMAGE_PATH]
    assert names == [["a.b", "e", ""], ["c.d.png", "a.b", ""]]


def test_drop_removes_rows_and_says_how_many(mixed):
    pairs, folder = mixed
    resolved, report = resolve(pairs, folder, "drop")
    assert resolved[ID[0]].tolist() == ["a"]
    assert resolved.index.tolist() == [0]
    assert (report.rows, report.rows_dropped) == (3, 2)


def test_drop_that_leaves_nothing_stops(mixed):
    pairs, folder = mixed
    with pytest.raises(ImageError, match=r"row 1, image_2 \(gone.*Give their folder with --images"):
        resolve(pairs.iloc[1:], folder, "drop")


def test_error_names_row_column_file_and_reason(mixed):
    pairs, folder = mixed
    with pytest.raises(
        ImageError, match=r"2 images .*row 2, image_2 \(gone.*row 3, image_1 \(bad.jpg\): not a JPEG"
    ):
        resolve(pairs, folder, "error")
    resolved, _ = resolve(pairs.iloc[:1], folder, "error")
    assert len(resolved) == 1


def test_problems_are_the_first_twenty(tmp_path):
    _, report = resolve(table(*[(str(row), str(row)) for row in range(50)]), tmp_path)
    assert [problem.row for problem in report.problems] == [row for row in range(1, 11) for _ in range(2)]


def test_without_a_folder_every_image_is_missing():
    resolved, report = resolve(table(("1", "2")), None)
    assert resolved[list(IMAGE_STATUS)].to_numpy().tolist() == [["missing", "missing"]]
    assert resolved[list(IMAGE_REASON)].to_numpy().tolist() == [[NO_FOLDER, NO_FOLDER]]
    assert resolved[list(IMAGE_PATH)].to_numpy().tolist() == [["", ""]]
    assert report.usable == 0
    with pytest.raises(ImageError, match=NO_FOLDER):
        resolve(table(("1", "2")), None, "error")


@pytest.mark.parametrize("with_folder", [True, False])
@pytest.mark.parametrize("missing", ["mask", "drop", "error"])
def test_no_rows(tmp_path, with_folder, missing):
    resolved, report = resolve(table(), tmp_path if with_folder else None, missing)
    full, _ = resolve(table(("1", "2")), tmp_path)
    assert resolved.dtypes.to_dict() == full.dtypes.to_dict()
    assert (len(resolved), report.rows, report.usable) == (0, 0, 0)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    for call in (
        lambda: resolve(table(("1", "2")), tmp_path / "none"),
        lambda: folder_fingerprint(tmp_path / "none"),
    ):
        with pytest.raises(ImageError, match=r"none cannot be listed.*--images"):
            call()


def test_many_rows_without_a_folder_are_quick():
    ids = pd.Series(np.arange(300_000), dtype="str")
    pairs = pd.DataFrame(
        {ID[0]: ids, IMAGE_URL[0]: "http://a/x.jpg", ID[1]: ids, IMAGE_URL[1]: "http://a/x.jpg"}
    )
    start = time.process_time()
    _, report = resolve(pairs, None)
    assert time.process_time() - start < 3
    assert report.counts["image_2"]["missing"] == 300_000


def test_sound_files_are_not_decoded(tmp_path, monkeypatch):
    for index, content in enumerate((JPEG, PNG, WEBP)):
        (tmp_path / f"{index}.jpg").write_bytes(content)
    monkeypatch.setattr("entailment.data.image_paths.decode_images", None)
    _, report = resolve(table(("0", "1"), ("2", "2")), tmp_path)
    assert report.usable == 4


def test_fingerprint_follows_names_sizes_times_and_place(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    seen = [folder_fingerprint(None), folder_fingerprint(folder)]
    file = folder / "1.jpg"
    file.write_bytes(JPEG)
    os.utime(file, ns=(0, 0))
    seen.append(folder_fingerprint(folder))
    assert folder_fingerprint(folder) == seen[-1]
    os.utime(file, ns=(0, 1))
    seen.append(folder_fingerprint(folder))
    file.write_bytes(JPEG + b"1")
    os.utime(file, ns=(0, 1))
    seen.append(folder_fingerprint(folder))
    file.rename(folder / "2.jpg")
    seen.append(folder_fingerprint(folder))
    folder.rename(tmp_path / "moved")
    seen.append(folder_fingerprint(tmp_path / "moved"))
    assert len(set(seen)) == len(seen)


def test_importing_the_module_loads_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, entailment.data.image_paths as _; print({'tensorflow', 'pandas', 'PIL'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
