"""Bad input through the command line: plain words, the right exit code, nothing half-written, no traceback."""

import json
import signal
import struct
import subprocess
import sys
import time
import zlib

import pandas as pd
import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import PROJECT, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    made = Workspace(folder)
    made.write_config(write_random_modules(folder / "modules"))
    return made


@pytest.fixture
def pairs(workspace):
    return pd.read_csv(workspace.folder / "data" / "pairs.csv", dtype=str)


def huge_png(path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def refused(done, code, *words):
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr, done.stderr
    before, _, message = done.stderr.partition("Error: ")
    assert message.splitlines()[0] not in before, "it is said twice"
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "training.epoch=3"], ["no key 'training.epoch'", "Did you mean 'training.epochs'?"]),
        (["--epochs", "0"], ["--epochs: must be at least 1"]),
        (["--loss", "hinge"], ["'hinge' is not one of 'cross_entropy'"]),
        (["--config", "absent.yaml"], ["absent.yaml", "--config FILE"]),
        (["--stack", "nobodys"], ["there is no ZenML stack 'nobodys'"]),
        (["trian"], ["No such command 'trian'"]),
    ],
)
def test_wrong_use_ends_with_2(workspace, arguments, words):
    refused(workspace.run(*arguments, config=False), 2, *words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="label"), ["lacks the column(s) label"]),
        (
            lambda table: table.assign(label="Maybe"),
            ["80 wrong value(s)", "row 1, column label", "Received: 'Maybe'"],
        ),
        (lambda table: table[(table["label"] != "Implies") | (table.index == 0)].iloc[:40], ["too few"]),
        (
            lambda table: pd.concat([table, table.head(1).assign(label="Implies")]),
            ["label is 'Contradictory'"],
        ),
    ],
)
def test_a_wrong_table_ends_with_1_and_leaves_no_run(workspace, pairs, change, words):
    pairs.loc[0, "label"] = "Contradictory" if "label is" in words[0] else "Implies"
    change(pairs).to_csv(workspace.folder / "wrong.csv", index=False)
    refused(workspace.run("--dataset", "wrong.csv"), 1, *words)
    assert not (workspace.home / "zenml" / "train").exists()


def test_files_and_folders_that_are_not_there(workspace):
    done = workspace.run("--dataset", "absent.csv", "--json")
    assert done.returncode == 1
    assert "There is no file" in json.loads(done.stdout)["error"]
    refused(workspace.run("--images", "absent"), 1, "There is no folder", "--images")
    refused(
        workspace.run("--images", "small.yaml"), 1, "small.yaml is a file, no folder", "unpack an archive"
    )


def test_images_are_needed_and_none_is_there(workspace):
    empty = workspace.folder / "empty"
    empty.mkdir()
    refused(workspace.run("--images", "empty"), 1, "--images FOLDER", "--inputs text")
    assert workspace.run("--images", "empty", "--inputs", "text", "--epochs", "1").returncode == 0


def test_only_what_the_model_sees_must_be_in_the_table(workspace, pairs):
    seen = pairs[["id_1", "id_2", "label"]]
    pictures = seen.assign(image_1="", image_2="")
    texts = seen.assign(text_1=pairs["text_1"], text_2=pairs["text_2"], id_1="a/" + seen["id_1"])
    for inputs, table in (("image", pictures), ("text", texts)):
        table.to_csv(workspace.folder / "seen.csv", index=False)
        given = ("--dataset", "seen.csv", "--images", "data/images", "--inputs", inputs, "--epochs", "1")
        done = workspace.run(*given)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def faulty(workspace, pairs):
    """Four faulty images and one whose name lies."""
    from PIL import Image

    folder = workspace.folder / "faulty"
    if folder.exists():
        return folder
    images = {path.stem: path for path in (workspace.folder / "data" / "images").iterdir()}
    folder.mkdir()
    for path in images.values():
        (folder / path.name).write_bytes(path.read_bytes())
    jpeg, lying, text, huge, gone = (folder / images[identity].name for identity in pairs["id_1"][:5])
    jpeg.write_bytes(jpeg.read_bytes()[:500])
    Image.new("RGB", (9, 9)).save(lying.with_suffix(".tmp"), "PNG")
    lying.with_suffix(".tmp").rename(lying.with_suffix(".jpg"))
    text.write_text("no picture")
    huge_png(huge)
    gone.unlink()
    return folder


def test_faulty_images_are_masked_and_named(workspace, faulty):
    done = workspace.run("--images", "faulty")
    assert done.returncode == 0, done.stderr
    assert "156 usable, 1 missing, 3 unreadable" in done.stdout
    assert "30000" in done.stderr.replace(",", "").replace(" x ", "x") and "row 1, image_1" in done.stderr


def test_faulty_images_are_dropped_or_stop(workspace, faulty):
    done = workspace.run("--images", "faulty", "--missing-images", "drop")
    assert done.returncode == 0, done.stderr
    assert "train 45, validation 12, test 19" in done.stdout
    assert "8 of 9 steps ran, cached: ingest\n" in done.stdout
    refused(workspace.run("--images", "faulty", "--missing-images", "error"), 1, "row 1")


def test_a_damaged_record_is_named_and_no_cache_mends_it(workspace, faulty):
    options = ("--images", "faulty", "--loss", "focal")
    shard = max(workspace.home.rglob("test-*.tfrecord"), key=lambda path: path.stat().st_ctime)
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    refused(workspace.run(*options, "--missing-images", "drop"), 1, shard.name, "--no-cache")
    assert workspace.run(*options, "--missing-images", "drop", "--no-cache").returncode == 0


def test_interrupted_it_ends_with_130_and_the_next_run_is_whole(workspace):
    command = [
        sys.executable,
        str(PROJECT / "run_pipeline.py"),
        "--config",
        str(workspace.folder / "small.yaml"),
    ]
    command += ["--epochs", "100000", "--seed", "5"]
    for number, step in ((signal.SIGTERM, b"encode"), (signal.SIGINT, b"train")):
        running = subprocess.Popen(
            command,
            cwd=workspace.folder,
            env=workspace.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        seen = b""
        deadline = time.monotonic() + 200
        while b"Step `%s` has started" % step not in seen and time.monotonic() < deadline:
            seen += running.stderr.read1(4096)
        running.send_signal(number)
        out, err = running.communicate(timeout=120)
        assert running.returncode == 130, err.decode()
        assert out == b"" and b"Traceback" not in err
    done = workspace.run("--seed", "5")
    assert done.returncode == 0, done.stderr
    assert list((workspace.home / "scratch").glob("*/*")) == []


def test_no_space_is_said_plainly(workspace, tmp_path):
    """A full disk, played by a file size limit on the process (SIGXFSZ is ignored by Python: writes fail)."""
    script = (
        "import errno, pathlib, runpy, sys\n"
        "real = pathlib.Path.mkdir\n"
        "def full(self, *a, **k):\n"
        "    if 'scratch' in self.parts: raise OSError(errno.ENOSPC, 'No space left on device', str(self))\n"
        "    return real(self, *a, **k)\n"
        "pathlib.Path.mkdir = full\n"
        f"sys.argv = ['run_pipeline.py', '--config', {str(workspace.folder / 'small.yaml')!r}, '--seed', '6']\n"
        f"sys.path.insert(0, {str(PROJECT)!r})\n"
        f"runpy.run_path({str(PROJECT / 'run_pipeline.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workspace.folder,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr.splitlines()[-1]


def test_a_class_without_a_row_stops_the_run(workspace, pairs, tmp_path):
    pairs.assign(label="Implies").to_csv(tmp_path / "one.csv", index=False)
    for command in (("--dataset",), ("crossval", "--folds", "2", "--dataset")):
        done = workspace.run(*command, str(tmp_path / "one.csv"), "--inputs", "text")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert (
            "No row has the label Contradictory" in done.stderr
            and "leave it out of task.labels" in done.stderr
        )
