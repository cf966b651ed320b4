"""Divide the pairs into train, validation and test."""

import logging
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.split import Split
from entailment.data.split import check_classes, leak_warning, split_pairs, split_report
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    output_materializers={"splits": PairsMaterializer, "split_report": ReportMaterializer},
    cache_policy=cached_by(code),
)
def split(
    resolved: pd.DataFrame, config: Split, labels: list[str], seed: int
) -> tuple[Annotated[pd.DataFrame, "splits"], Annotated[dict[str, Any], "split_report"]]:
    """Adds the column `split` and reports class counts and leaks."""
    splits = split_pairs(resolved, config, seed)
    report = split_report(splits, labels)
    check_classes(report)
    if warning := leak_warning(report):
        _LOG.warning("%s", warning)
    return splits, report
