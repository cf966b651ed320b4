"""The real data: the recognizing-multimodal-entailment tweets and their images."""

import re
import shutil
from pathlib import Path
from typing import Final

from entailment.configuration.dataset import Tweets
from entailment.data.archive import extract_images
from entailment.data.download import download
from entailment.errors import DownloadError
from entailment.files import locked, sha256_of_file, written_aside

_CSV_MAX_BYTES: Final = 100_000_000


def download_tweets(
    folder: Path, sources: Tweets, *, with_images: bool = True, progress: bool = True
) -> Path:
    """Makes `folder` hold `tweets.csv` and `images/<id>.<ext>`, downloading what is not there; returns `folder`.

    `sources` says where they are and what they must be; without `with_images` the images are left out.

    The archive is removed once it is unpacked. Two processes at once download once.

    Raises DownloadError: a download failed, or is not what was expected, or the archive is not to be trusted.
    """
    try:
        with locked(folder / ".lock"):
            csv = folder / "tweets.csv"
            download(
                sources.csv_url, csv, sha256=sources.csv_sha256, max_bytes=_CSV_MAX_BYTES, progress=progress
            )
            if with_images:
                _provide_images(folder, sources, progress)
    except OSError as error:
        raise DownloadError(f"The tweets cannot be kept in {folder}: {error.strerror or error}.") from None
    return folder


def _provide_images(folder: Path, sources: Tweets, progress: bool) -> None:
    archive, images, record = folder / "tweet_images.tar.gz", folder / "images", folder / "archive.sha256"
    recorded = _recorded(record)
    wanted = sources.archive_sha256 or recorded
    if images.is_dir() and recorded and wanted == recorded:
        return
    download(sources.archive_url, archive, sha256=wanted, max_bytes=sources.max_bytes, progress=progress)
    # In this order a crash never leaves images beside the record of another archive, nor a record of a bad one.
    shutil.rmtree(images, ignore_errors=True)
    record.unlink(missing_ok=True)
    extract_images(archive, images, max_bytes=sources.max_bytes, max_files=sources.max_files)
    with written_aside(record) as aside:
        aside.write_text(sha256_of_file(archive) + "\n", encoding="ascii")
    archive.unlink()


def _recorded(record: Path) -> str | None:
    text = record.read_text(encoding="ascii", errors="replace").strip() if record.is_file() else ""
    return text if re.fullmatch("[0-9a-f]{64}", text) else None
