"""Step 1: read and validate the pairs."""

import logging
from typing import Annotated, Any

import pandas as pd
from zenml import step
from zenml.config import CachePolicy

from entailment.configuration.dataset import Dataset, Ingest, Tweets
from entailment.configuration.task import Inputs, Task
from entailment.data.pairs import content_hash, read_pairs
from entailment.data.sources import locate
from entailment.home import home
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.code_fingerprint import code_fingerprint

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return code_fingerprint(__name__)


@step(
    output_materializers={"pairs": PairsMaterializer, "source": ReportMaterializer},
    cache_policy=CachePolicy(cache_func=code),
)
def ingest(
    dataset: Dataset, tweets: Tweets, config: Ingest, task: Task, inputs: Inputs, content: str
) -> tuple[Annotated[pd.DataFrame, "pairs"], Annotated[dict[str, Any], "source"]]:
    """Reads the configured data set; `content` (its hash) makes a changed file run anew."""
    source = locate(dataset, tweets, home() / "datasets", with_images=inputs != "text")
    pairs = read_pairs(source.csv, task, max_text_bytes=config.max_text_bytes)
    digest = content_hash(pairs)
    _LOG.info("%s: %d pairs, content %s.", source.csv, len(pairs), digest[:12])
    return pairs, {
        "name": source.name,
        "file": str(source.csv),
        "images": str(source.images) if source.images else None,
        "generated": source.generated,
        "version": source.version,
        "sha256": digest,
        "rows": len(pairs),
    }
