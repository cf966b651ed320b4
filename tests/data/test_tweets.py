import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from entailment.configuration.dataset import Tweets
from entailment.data import download as download_module
from entailment.data.tweets import download_tweets
from entailment.errors import DownloadError

CSV = b"id_1,text_1,image_1,id_2,text_2,image_2,label\n"


def packed(**images):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in images.items():
            info = tarfile.TarInfo(f"tweet_images/{name}.jpg")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def site(monkeypatch):
    """Address -> content, and what was asked for, in order."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download_module, "_PAUSES_S", (0.0, 0.0))
    files = {"/tweets.csv": CSV, "/images.tar.gz": packed(a=b"one", b=b"two")}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    root = f"http://127.0.0.1:{server.server_port}"
    sources = Tweets(
        csv_url=f"{root}/tweets.csv",
        csv_sha256=hashlib.sha256(CSV).hexdigest(),
        archive_url=f"{root}/images.tar.gz",
    )
    yield files, asked, sources
    server.shutdown()
    server.server_close()
    thread.join()


def get(folder, sources):
    return download_tweets(folder, sources, progress=False)


def images(folder):
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


def test_tweets_and_images_come_and_stay(site, tmp_path):
    files, asked, sources = site
    folder = get(tmp_path / "tweets", sources)
    assert (folder / "tweets.csv").read_bytes() == CSV
    assert images(folder) == {"a.jpg": b"one", "b.jpg": b"two"}
    assert (folder / "archive.sha256").read_text().strip() == hashlib.sha256(
        files["/images.tar.gz"]
    ).hexdigest()
    assert not (folder / "tweet_images.tar.gz").exists()
    get(tmp_path / "tweets", sources)
    assert asked == ["/tweets.csv", "/images.tar.gz"]


def test_an_archive_changed_since_the_first_download_is_refused(site, tmp_path):
    files, _, sources = site
    get(tmp_path, sources)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    (tmp_path / "images").rmdir()
    files["/images.tar.gz"] = packed(a=b"other")
    with pytest.raises(DownloadError, match="not the file expected"):
        get(tmp_path, sources)
    assert not (tmp_path / "images").exists()


def test_a_newly_pinned_archive_replaces_the_images(site, tmp_path):
    files, _, sources = site
    get(tmp_path, sources)
    files["/images.tar.gz"] = packed(c=b"three")
    pinned = hashlib.sha256(files["/images.tar.gz"]).hexdigest()
    get(tmp_path, sources.model_copy(update={"archive_sha256": pinned}))
    assert images(tmp_path) == {"c.jpg": b"three"}


def test_a_wrong_pin_leaves_the_images_there_are(site, tmp_path):
    _, _, sources = site
    get(tmp_path, sources)
    with pytest.raises(DownloadError, match="expected was 0000"):
        get(tmp_path, sources.model_copy(update={"archive_sha256": "0" * 64}))
    assert set(images(tmp_path)) == {"a.jpg", "b.jpg"}


def test_a_bad_archive_is_not_recorded(site, tmp_path):
    files, _, sources = site
    files["/images.tar.gz"] = b"<html>try later</html>"
    with pytest.raises(DownloadError, match=r"damaged or no \.tar\.gz.*Remove it"):
        get(tmp_path, sources)
    assert not (tmp_path / "archive.sha256").exists()
    assert not (tmp_path / "images").exists()
    (tmp_path / "tweet_images.tar.gz").unlink()
    files["/images.tar.gz"] = packed(a=b"one")
    get(tmp_path, sources)
    assert images(tmp_path) == {"a.jpg": b"one"}


def test_images_without_a_record_are_not_trusted(site, tmp_path):
    """As after a crash between unpacking and recording."""
    _, asked, sources = site
    get(tmp_path, sources)
    (tmp_path / "archive.sha256").unlink()
    (tmp_path / "images" / "a.jpg").write_bytes(b"half")
    get(tmp_path, sources)
    assert images(tmp_path)["a.jpg"] == b"one"
    assert asked.count("/images.tar.gz") == 2


def test_files_put_there_by_hand_are_used(site, tmp_path):
    files, asked, sources = site
    (tmp_path / "tweets.csv").write_bytes(files.pop("/tweets.csv"))
    (tmp_path / "tweet_images.tar.gz").write_bytes(files.pop("/images.tar.gz"))
    get(tmp_path, sources)
    assert set(images(tmp_path)) == {"a.jpg", "b.jpg"}
    assert asked == []


def test_the_bounds_reach_the_archive(site, tmp_path):
    _, _, sources = site
    with pytest.raises(DownloadError, match=r"more than 1 entries.*tweets\.max_files"):
        get(tmp_path, sources.model_copy(update={"max_files": 1}))


def test_an_absent_archive_names_where_to_put_it(site, tmp_path):
    files, _, sources = site
    del files["/images.tar.gz"]
    with pytest.raises(DownloadError, match=r"404.*put it at .*tweet_images\.tar\.gz"):
        get(tmp_path, sources)


def test_a_place_that_cannot_be_written(site, tmp_path):
    _, _, sources = site
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be kept in"):
        get(tmp_path / "file" / "tweets", sources)


def test_defaults_are_the_published_files():
    sources = Tweets()
    assert sources.csv_url.endswith("/main/csvs/tweets.csv")
    assert sources.csv_sha256 == "9b545c03122d56dd8400877de4eef2c4a7e053ecfc29d1e32045feb6c3073ef9"
    assert sources.archive_url.endswith("/releases/download/v1.0.0/tweet_images.tar.gz")


def test_texts_alone_need_no_archive(site, tmp_path):
    _, asked, sources = site
    download_tweets(tmp_path, sources, with_images=False, progress=False)
    assert (tmp_path / "tweets.csv").is_file() and not (tmp_path / "images").exists()
    assert not any("images" in str(request) for request in asked)
