import errno
import hashlib
import json
import multiprocessing
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from entailment.data import download as module
from entailment.data.download import download
from entailment.errors import DownloadError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 10_000_000


class Site:
    """A file server on 127.0.0.1 whose manners the test sets."""

    def __init__(self):
        self.content = CONTENT
        self.etag = '"v1"'
        self.modified = None
        self.ranges = True
        self.with_length = True
        self.cuts = []  # bytes after which the next answers are cut off
        self.statuses = []  # what the next requests are answered with instead of the file
        self.asked = []  # each request's Range header

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/file.bin"

    def get(self, handler):
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.statuses:
            handler.send_response(self.statuses.pop(0))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range") in (self.etag, self.modified):
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if start >= len(self.content) and start:
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        for name, value in (("ETag", self.etag), ("Last-Modified", self.modified)):
            if value:
                handler.send_header(name, value)
        if self.with_length:
            handler.send_header("Content-Length", str(len(self.content) - start))
        handler.end_headers()
        body = self.content[start:]
        if self.cuts:
            handler.wfile.write(body[: self.cuts.pop(0)])
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.wfile.write(body)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "_PAUSES_S", (0.0, 0.0))
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site.get(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "deep" / "file.bin"


def fetch(site, target, **options):
    download(site.url, target, **{"max_bytes": LIMIT, "progress": False, **options})


def left_over(target):
    """Visible files in the target's folder."""
    return sorted(path.name for path in target.parent.iterdir() if not path.name.startswith("."))


def test_a_file_comes_whole_and_alone(site, target):
    fetch(site, target, sha256=SHA256, expected_bytes=len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert left_over(target) == ["file.bin"]


def test_progress_goes_to_standard_error(site, target, capsys, monkeypatch):
    monkeypatch.setattr("entailment.progress._SECONDS", 0)
    fetch(site, target, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "file.bin" in shown.err
    assert "512k of 512k" in shown.err


def test_a_connection_cut_half_way_is_taken_up_where_it_broke(site, target):
    site.cuts = [200_000]
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert site.asked[0] is None
    resumed_at = int(re.fullmatch(r"bytes=(\d+)-", site.asked[1])[1])
    assert 0 < resumed_at <= 200_000
    assert left_over(target) == ["file.bin"]


def test_a_later_call_goes_on_after_too_many_cuts(site, target):
    site.cuts = [100_000] * 3
    with pytest.raises(
        DownloadError, match=r"closed after \d+ of 512000 bytes; 3 tries.*goes on where it stopped"
    ):
        fetch(site, target, sha256=SHA256)
    assert not target.exists()
    assert (target.parent / "file.bin.part").stat().st_size == 300_000
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert site.asked == [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]


def test_a_file_changed_in_between_is_not_glued(site, target):
    site.cuts = [100_000] * 3
    with pytest.raises(DownloadError):
        fetch(site, target)
    site.content, site.etag = CONTENT[::-1], '"v2"'
    fetch(site, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_starts_anew(site, target):
    site.ranges, site.cuts = False, [200_000]
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_firm_version_nothing_is_resumed(site, target, etag):
    site.etag, site.cuts = etag, [200_000]
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert site.asked == [None, None]


def test_a_date_serves_as_version(site, target):
    site.etag, site.modified, site.cuts = None, "Wed, 21 Oct 2015 07:28:00 GMT", [200_000]
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.asked[1] is not None


def test_a_part_of_another_address_is_not_resumed(site, target):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(b"something else")
    (target.parent / "file.bin.part.json").write_text(
        json.dumps({"url": "http://other/", "validator": '"v1"'})
    )
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.asked == [None]


def test_a_part_longer_than_the_file_is_dropped(site, target):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT + b"more")
    (target.parent / "file.bin.part.json").write_text(json.dumps({"url": site.url, "validator": '"v1"'}))
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(site, target):
    with pytest.raises(DownloadError, match=f"SHA-256 is {SHA256}, expected was 0000.*removed"):
        fetch(site, target, sha256="0" * 64)
    assert left_over(target) == []


def test_a_wrong_size_is_refused(site, target):
    with pytest.raises(DownloadError, match="512000 bytes; 5 were expected"):
        fetch(site, target, expected_bytes=5)
    site.with_length = False
    with pytest.raises(DownloadError, match="512000 bytes came, 5 were expected"):
        fetch(site, target, expected_bytes=5)
    assert left_over(target) == []


@pytest.mark.parametrize("with_length", [True, False])
def test_more_than_the_bound_is_refused(site, target, with_length):
    site.with_length = with_length
    with pytest.raises(DownloadError, match=r"100000"):
        fetch(site, target, max_bytes=100_000)
    assert left_over(target) == []


def test_too_little_disk_is_said_beforehand(site, target, monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda folder: 1000)
    with pytest.raises(DownloadError, match=r"needs 512000 bytes more in .*1000 are free.*Make room"):
        fetch(site, target)
    assert left_over(target) == []


def test_a_full_disk_is_no_traceback(site, target, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(DownloadError, match=r"cannot be written to .*No space left on device"):
        fetch(site, target)


def test_not_found_is_final(site, target):
    site.statuses = [404]
    with pytest.raises(
        DownloadError, match=r"file\.bin could not be downloaded .*404.*put it at .*file\.bin"
    ):
        fetch(site, target)
    assert len(site.asked) == 1


def test_a_passing_fault_of_the_server_is_tried_again(site, target):
    site.statuses = [503, 429]
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    site.statuses = [500, 500, 500]
    target.unlink()
    with pytest.raises(DownloadError, match=r"500.*3 tries"):
        fetch(site, target)


def test_a_refused_connection_says_what_to_do(target, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "_PAUSES_S", (0.0, 0.0))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        with pytest.raises(DownloadError) as caught:
            download(url, target, sha256=SHA256, max_bytes=LIMIT, progress=False)
    for words in (url, "refused", str(target), SHA256, "Check the connection"):
        assert words in str(caught.value)


def test_a_silent_server_is_given_up(target, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "_PAUSES_S", (0.0, 0.0))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.bin"
        with pytest.raises(DownloadError, match="timed out"):
            download(url, target, max_bytes=LIMIT, progress=False, timeout=0.05)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.example/x", "tweets.csv"])
def test_other_addresses_are_refused(target, url):
    with pytest.raises(DownloadError, match="must begin with http"):
        download(url, target, max_bytes=LIMIT)


def test_what_is_there_is_not_fetched_again(site, target):
    fetch(site, target, sha256=SHA256)
    fetch(site, target, sha256=SHA256)
    fetch(site, target)
    assert len(site.asked) == 1


def test_what_is_there_but_wrong_is_replaced_only_by_what_is_right(site, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    site.statuses = [404]
    with pytest.raises(DownloadError):
        fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == b"old"
    fetch(site, target, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written to"):
        fetch(site, tmp_path / "file" / "file.bin")


def test_two_processes_at_once_download_once(site, target):
    context = multiprocessing.get_context("spawn")
    arguments = {"sha256": SHA256, "max_bytes": LIMIT, "progress": False}
    processes = [
        context.Process(target=download, args=(site.url, target), kwargs=arguments) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert target.read_bytes() == CONTENT
    assert len(site.asked) == 1
