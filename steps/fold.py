"""In place of the split: divide the pairs into the folds of a cross-validation or a search."""

import logging
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.split import Split
from entailment.data.split import FOLD_COLUMN, check_classes, fold_pairs, leak_warning, split_report
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    output_materializers={"folded": PairsMaterializer, "fold_report": ReportMaterializer},
    cache_policy=cached_by(code),
)
def fold(
    resolved: pd.DataFrame, config: Split, labels: list[str], folds: int, seed: int, without_test: bool
) -> tuple[Annotated[pd.DataFrame, "folded"], Annotated[dict[str, Any], "fold_report"]]:
    """Adds the column `fold` and reports class counts and leaks; `without_test` drops the usual test split."""
    folded = fold_pairs(resolved, config, folds, seed, without_test=without_test)
    report = split_report(folded, labels, FOLD_COLUMN)
    check_classes(report, without_test=without_test)
    if warning := leak_warning(report):
        _LOG.warning("%s", warning)
    return folded, report
