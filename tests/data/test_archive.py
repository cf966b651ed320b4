import gzip
import io
import tarfile
import zlib

import pytest

from entailment.data.archive import extract_images
from entailment.errors import DownloadError

LIMITS = {"max_bytes": 100_000, "max_files": 50}


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def build(path, *entries, format=tarfile.GNU_FORMAT):
    """Writes a tar.gz of (name, content) pairs and of bare members."""
    with tarfile.open(path, "w:gz", format=format) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                name, content = entry
                archive.addfile(member(name, size=len(content)), io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "images.tar.gz"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("top", ["", "./", "tweet_images/", "a/b/c/"])
def test_images_are_flattened_and_others_passed_over(archive, folder, top, format):
    build(
        archive,
        member("top", tarfile.DIRTYPE),
        (f"{top}1.jpg", b"one"),
        (f"{top}2.PNG", b"two"),
        (f"{top}._1.jpg", b"resource fork"),
        (f"{top}README.md", b"read me"),
        format=format,
    )
    assert extract_images(archive, folder, **LIMITS) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"1.jpg": b"one", "2.PNG": b"two"}


def test_an_older_folder_is_replaced_as_a_whole(archive, folder):
    folder.mkdir()
    (folder / "old.jpg").write_bytes(b"old")
    build(archive, ("new.jpg", b"new"))
    extract_images(archive, folder, **LIMITS)
    assert [path.name for path in folder.iterdir()] == ["new.jpg"]


HOSTILE = {
    "parent": ("../evil.jpg", b"x"),
    "parent inside": ("a/../../evil.jpg", b"x"),
    "absolute": ("/tmp/evil.jpg", b"x"),
    "backslash": ("..\\evil.jpg", b"x"),
    "long name": ("x" * 250 + ".jpg", b"x"),
    "symbolic link": member("a.jpg", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": member("a.jpg", tarfile.LNKTYPE, "1.jpg"),
    "character device": member("a.jpg", tarfile.CHRTYPE),
    "block device": member("a.jpg", tarfile.BLKTYPE),
    "pipe": member("a.jpg", tarfile.FIFOTYPE),
    "folder outside": member("../evil", tarfile.DIRTYPE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(archive, folder, tmp_path, name):
    build(archive, ("1.jpg", b"one"), HOSTILE[name])
    folder.mkdir()
    (folder / "before.jpg").write_bytes(b"before")
    with pytest.raises(DownloadError, match="not to be trusted"):
        extract_images(archive, folder, **LIMITS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "images.tar.gz"]
    assert [path.name for path in folder.iterdir()] == ["before.jpg"]


def test_too_many_files(archive, folder):
    build(archive, *[(f"{number}.jpg", b"x") for number in range(51)])
    with pytest.raises(DownloadError, match="more than 50 entries"):
        extract_images(archive, folder, **LIMITS)
    assert not folder.exists()


def test_empty_folders_count_too(archive, folder):
    build(archive, *[member(f"d{number}", tarfile.DIRTYPE) for number in range(51)], ("1.jpg", b"x"))
    with pytest.raises(DownloadError, match="more than 50 entries"):
        extract_images(archive, folder, **LIMITS)


@pytest.mark.parametrize("name", ["big.jpg", "big.txt"])
def test_a_bomb_stops_at_the_bound(archive, folder, name):
    build(archive, ("1.jpg", b"x"), (name, b"\0" * 5_000_000))
    assert archive.stat().st_size < 20_000
    with pytest.raises(DownloadError, match="100000 bytes"):
        extract_images(archive, folder, **LIMITS)
    assert not folder.exists()


def test_the_bounds_are_inclusive(archive, folder):
    build(archive, *[(f"{number}.jpg", b"\1" * 2000) for number in range(50)])
    assert extract_images(archive, folder, max_bytes=100_000, max_files=50) == 50


def test_a_bomb_behind_the_last_entry_stops_at_the_bound(archive, folder):
    build(archive, ("1.jpg", b"x"))
    with gzip.open(archive, "ab") as file:
        file.write(b"\0" * 50_000_000)
    with pytest.raises(DownloadError, match="bounds on size"):
        extract_images(archive, folder, **LIMITS)


def test_a_huge_header_is_never_read_into_memory(archive, folder):
    info = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=10**9)
    with gzip.open(archive, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 10_000)
    with pytest.raises(DownloadError, match="a header of 1000000000 bytes"):
        extract_images(archive, folder, max_bytes=10**10, max_files=50)


def test_two_images_of_one_name(archive, folder):
    build(archive, ("a/1.jpg", b"one"), ("b/1.jpg", b"two"))
    with pytest.raises(DownloadError, match=r"two images named '1\.jpg'"):
        extract_images(archive, folder, **LIMITS)


def test_no_image(archive, folder):
    build(archive, ("README", b"hello"))
    with pytest.raises(DownloadError, match="holds no image"):
        extract_images(archive, folder, **LIMITS)


def damaged_archives(path):
    whole = build(
        path, *[(f"{number}.jpg", bytes(range(200)) * (number + 1)) for number in range(9)]
    ).read_bytes()
    tar = gzip.decompress(whole)
    return {
        "web page": b"<html>404</html>",
        "empty": b"",
        "not a tar": gzip.compress(b"hello" * 1000),
        "cut": whole[: len(whole) // 2],
        "without its end": whole[:-8],
        "flipped byte": gzip.compress(tar)[:-8] + (zlib.crc32(tar) ^ 1).to_bytes(4, "little") + whole[-4:],
        "cut inside a file": gzip.compress(tar[:6000]),
    }


@pytest.mark.parametrize(
    "name", ["web page", "empty", "not a tar", "cut", "without its end", "flipped byte", "cut inside a file"]
)
def test_damaged_archives(archive, folder, name):
    archive.write_bytes(damaged_archives(archive)[name])
    with pytest.raises(DownloadError, match=r"is damaged or no \.tar\.gz"):
        extract_images(archive, folder, **LIMITS)
    assert not folder.exists()


def test_an_archive_that_is_not_there(archive, folder):
    with pytest.raises(DownloadError, match="No such file"):
        extract_images(archive, folder, **LIMITS)
