"""A disk that cannot be written is said in one sentence, whatever library finds it out."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from entailment.disks import check_room, disk_fault, disk_message, free_bytes
from entailment.errors import EntailmentError, StoreError
from entailment.workspace import PROJECT
from tests.disks import CANNOT_MOUNT, WRITES

NUMBERS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "of another user": errno.EACCES}
PATHLESS = {"sqlite", "sqlalchemy", "parquet", "keras_file", "plain", "safetensors"}
"""They do not name the file, on a full disk at least."""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each library said of each disk, and the folder that these were mounted at."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("mounting small disks, and being another user, needs root and unshare")
    folder, copied = tmp_path_factory.mktemp("disk"), tmp_path_factory.mktemp("copied")
    (copied / "file").write_bytes(os.urandom(1 << 20))
    # Another user must get there.
    for part in (copied, *folder.parents):
        if "pytest-of-" in str(part):
            part.chmod(0o755)
    command = ["unshare", "--mount", sys.executable, "-m", "tests.disks", str(folder)]
    environment = os.environ | {"TO_COPY": str(copied), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode == CANNOT_MOUNT or "unshare" in done.stderr.partition("\n")[0]:
        pytest.skip(f"nothing can be mounted here: {done.stderr[:200]}")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = map(json.loads, done.stdout.splitlines())
    return {(one["disk"], one["library"]): one for one in lines}, folder


@pytest.mark.slow
@pytest.mark.parametrize("disk", NUMBERS)
def test_every_library_s_error_becomes_one_sentence(said, disk):
    told, folder = said
    for write in WRITES:
        library = write.__name__
        kind, fault = told[disk, library]["said"]
        if "sql" in library and disk != "full" and fault is None:
            continue  # SQLite's "unable to open database file" may also be a folder that is not there
        assert fault, f"{library}: {kind}"
        number, reason, file = fault
        assert number == NUMBERS[disk], library
        assert file is None if library in PATHLESS and not file else file.startswith(str(folder)), library
        message = disk_message(OSError(number, reason, file), folder)
        assert reason in message and "whole" in message and "\n" not in message
        assert ("MB are free" in message) == (disk == "full"), library


@pytest.mark.slow
@pytest.mark.parametrize("disk", NUMBERS)
def test_what_is_written_aside_names_its_target_and_leaves_nothing(said, disk):
    told, folder = said
    one = told[disk, "aside"]
    assert one["said"][0] in ("OSError", "PermissionError") and one["left"] == []
    assert one["said"][1][2] == str(folder / "aside" / "kept" if disk == "full" else folder / "aside")


def test_the_cause_is_found_and_nothing_else_passes_for_it():
    def raised(error, cause):
        try:
            raise error from cause
        except Exception as caught:
            return caught

    full = OSError(errno.EDQUOT, "over quota", "/a", None, "/b")
    assert disk_fault(raised(RuntimeError("step failed"), full)).filename == "/b"
    entries = [("/from", "/to", "[Errno 28] No space left on device: '/from' -> '/to'")]
    assert disk_fault(shutil.Error(entries)).filename == "/to"
    for other in (
        FileNotFoundError(errno.ENOENT, "No such file", "/a"),
        RuntimeError("403 Permission denied by the server"),
        raised(StoreError("the store: No space left on device"), full),
        KeyError("x"),
        sqlite3.OperationalError("unable to open database file"),
    ):
        assert disk_fault(other) is None, other


def test_only_a_file_that_was_named_is_named_and_another_home_advised_for_those_in_it(tmp_path):
    full, denied = errno.ENOSPC, errno.EACCES
    inside = disk_message(OSError(full, "No space", str(tmp_path / "file")), tmp_path)
    assert inside.startswith(f"Cannot read or write {tmp_path / 'file'}: No space (")
    assert "MB are free there now" in inside and "set ENTAILMENT_HOME to another folder" in inside
    for beside in (f"{tmp_path}-mine/x", "mine.yaml"):
        told = disk_message(OSError(denied, "Permission denied", beside), tmp_path)
        assert told.startswith(f"Cannot read or write {beside}: Permission") and "ENTAILMENT_HOME" not in told
    nowhere = disk_message(OSError(full, "No space"), tmp_path)
    assert nowhere.startswith("Something could not be written: No space (")
    assert f"free in {tmp_path} now" in nowhere and "ENTAILMENT_HOME" not in nowhere


def test_what_does_not_fit_is_said_with_what_is_missing(tmp_path):
    free = free_bytes(tmp_path)
    check_room(tmp_path, free // 2, "The records")
    with pytest.raises(
        EntailmentError, match=r"^The records need about .* MB in .* free: .* MB are missing\. Make"
    ):
        check_room(tmp_path, free * 2, "The records")
