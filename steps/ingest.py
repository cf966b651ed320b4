"""Read and validate the pairs."""

import logging
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.dataset import Ingest
from entailment.configuration.task import Inputs, Task
from entailment.data.pairs import read_pairs, rows_hash
from entailment.errors import DataError
from entailment.files import sha256_of_file
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    output_materializers={"pairs": PairsMaterializer, "source": ReportMaterializer},
    cache_policy=cached_by(code),
)
def ingest(
    found: dict[str, Any], config: Ingest, task: Task, inputs: Inputs
) -> tuple[Annotated[pd.DataFrame, "pairs"], Annotated[dict[str, Any], "source"]]:
    """Reads the data set that `look` found."""
    file = Path(found["csv"])
    limit = config.max_text_bytes
    pairs = read_pairs(file, task, max_text_bytes=limit, inputs=inputs, further=found["further"])
    if sha256_of_file(file) != found["sha256"]:
        raise DataError(f"{file} was changed while the run was going. Run again.")
    digest = rows_hash(pairs)
    _LOG.info("%s: %d pairs, content %s.", file, len(pairs), digest[:12])
    source = {name: found[name] for name in ("name", "images", "generated", "version")}
    return pairs, {**source, "file": str(file), "sha256": digest, "rows": len(pairs)}
