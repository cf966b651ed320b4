import http.server
import io
import shutil
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from entailment.encoders import handles
from entailment.encoders.handles import absolute_handle, fingerprint, load_module, resolve_handle
from entailment.errors import EncoderError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder), recursive=False)
    return buffer.getvalue()


@pytest.fixture
def hub(random_modules: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A model hub on 127.0.0.1 and the requests it got."""
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "readme.txt").write_text("no module")
    module = packed(Path(random_modules["image"]))
    answers = {
        "/module/1": module,
        "/half/1": module[: len(module) // 2],
        "/page/1": b"<html>log in</html>",
        "/junk/1": packed(tmp_path / "junk"),
    }
    requests: list[str] = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            body = answers.get(self.path.partition("?")[0])
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def test_downloads_a_module_once(hub, random_modules, tmp_path: Path) -> None:
    address, requests = hub
    path = resolve_handle(f"{address}/module/1", tmp_path)
    assert path.is_relative_to(tmp_path / "tfhub")
    assert requests == ["/module/1?tf-hub-format=compressed"]
    assert fingerprint(path) == fingerprint(Path(random_modules["image"]))
    assert callable(load_module(path))
    assert resolve_handle(f"{address}/module/1", tmp_path) == path
    assert len(requests) == 1


def test_the_users_own_cache_is_used(hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "mine"))
    assert resolve_handle(f"{hub[0]}/module/1", tmp_path / "home").is_relative_to(tmp_path / "mine")


def test_a_killed_download_does_not_block_the_next(hub, tmp_path: Path) -> None:
    url = f"{hub[0]}/module/1"
    done = resolve_handle(url, tmp_path)
    shutil.rmtree(done)
    done.with_name(f"{done.name}.lock").write_text("host.1.0123456789abcdef")
    started = time.monotonic()
    assert resolve_handle(url, tmp_path) == done
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("page", ["absent", "half", "page", "junk"])
def test_what_is_no_module_is_said(hub, page: str, tmp_path: Path) -> None:
    url = f"{hub[0]}/{page}/1"
    with pytest.raises(EncoderError, match=rf"{page}/1.*download"):
        resolve_handle(url, tmp_path)


def test_offline_says_what_to_do_and_soon(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/small_bert/1"
        started = time.monotonic()
        with pytest.raises(EncoderError) as caught:
            resolve_handle(url, tmp_path)
    assert time.monotonic() - started < 10
    for part in (url, "Connect to the network", "TFHUB_CACHE_DIR", "minilm", str(tmp_path / "tfhub")):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "STALLED_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(EncoderError, match="timed out"):
        resolve_handle(f"http://127.0.0.1:{silent.getsockname()[1]}/module/1", tmp_path)
    assert socket.getdefaulttimeout() is None


def test_a_local_folder_is_taken_as_it_is(random_modules, tmp_path: Path, monkeypatch) -> None:
    path = Path(random_modules["text"])
    assert resolve_handle(str(path), tmp_path / "home") == path
    monkeypatch.chdir(path.parent)
    assert resolve_handle("text", tmp_path / "home") == path
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("handle", ["minilm", "minilmm", "", "keras:ResNet50V2", "https://tfhub.dev/x/1"])
def test_names_of_encoders_are_no_paths(handle: str) -> None:
    assert absolute_handle(handle) == handle


def test_unknown_handles_are_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"'minilmm'.*efficientnet-lite0.*Did you mean 'minilm'\?"):
        resolve_handle("minilmm", tmp_path)
    with pytest.raises(EncoderError, match=r"saved_model\.pb"):
        resolve_handle(str(tmp_path), tmp_path)


def test_built_in_names_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "build_module", lambda name, folder: folder / "modules" / name)
    assert resolve_handle("minilm", tmp_path) == tmp_path / "modules" / "minilm"


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_damaged_module_is_said(random_modules, file: str, tmp_path: Path) -> None:
    path = shutil.copytree(random_modules["text"], tmp_path / "text")
    content = bytearray((path / file).read_bytes())
    content[len(content) // 2 :] = b"?" * 10
    (path / file).write_bytes(content)
    with pytest.raises(EncoderError, match="not a module that TensorFlow can load"):
        load_module(path)


def test_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    path = tmp_path / "module"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"graph")
    first = fingerprint(path)
    assert fingerprint(shutil.copytree(path, tmp_path / "copy")) == first
    (path / "saved_model.pb").write_bytes(b"Graph")
    second = fingerprint(path)
    (path / "saved_model.pb").rename(path / "other.pb")
    assert len({first, second, fingerprint(path)}) == 3
