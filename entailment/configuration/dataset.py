"""Where the pairs come from, and what a row may be."""

from typing import Annotated

from pydantic import Field

from entailment.configuration.section import Count, Section


class Dataset(Section):
    """Where the pairs come from."""

    source: str = "sample"
    images: str | None = None
    sample_pairs: Annotated[int, Field(ge=20)] = 1400


class Tweets(Section):
    """Where the real tweets are downloaded from, and how they are verified."""

    csv_url: str = (
        "https://raw.githubusercontent.com/sayakpaul/Multimodal-Entailment-Baseline/main/csvs/tweets.csv"
    )
    csv_sha256: str | None = "9b545c03122d56dd8400877de4eef2c4a7e053ecfc29d1e32045feb6c3073ef9"
    archive_url: str = (
        "https://github.com/sayakpaul/Multimodal-Entailment-Baseline/releases/download/"
        "v1.0.0/tweet_images.tar.gz"
    )
    archive_sha256: str | None = None
    max_bytes: Count = 8_000_000_000
    max_files: Count = 20_000


class Ingest(Section):
    """What a row of the table may be."""

    max_text_bytes: Count = 20_000
