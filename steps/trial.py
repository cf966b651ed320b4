"""A step of the comparison and of the cross-validation: train one model and let it answer rows that it never saw."""

import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from zenml import get_step_context, step
from zenml.client import Client

from entailment.configuration.model import ModelConfiguration
from entailment.errors import reason
from entailment.evaluation.report import prediction_table
from entailment.model.end_to_end import Workplace, features_of
from entailment.model.feature_index import FeatureIndex
from entailment.records.manifest import RecordsFolder
from entailment.trials.trial import Fold, run_trial
from entailment.workspace import workspace
from materializers.pairs import PairsMaterializer
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, fingerprint
from steps.interruptions import INTERRUPTIONS

_LOG = logging.getLogger(__name__)


def code() -> str:
    """What this step's code consists of now."""
    return fingerprint(__name__)


@step(
    output_materializers={"outcome": ReportMaterializer, "predictions": PairsMaterializer},
    cache_policy=cached_by(code),
)
def trial(
    records: RecordsFolder,
    features: FeatureIndex,
    configuration: ModelConfiguration,
    name: str,
    fold: Fold | None,
    encoder_state: dict[str, str],
) -> tuple[Annotated[dict[str, Any], "outcome"], Annotated[pd.DataFrame, "predictions"]]:
    """Gives the training's course and the answers to the test split or to a fold; a failure is an outcome too."""
    places = workspace()
    config = configuration.with_image_size(records.image_size)
    outcome: dict[str, Any] = {"name": name, "seed": config.seed, "error": None}
    try:
        known = features_of(features, config, places.encoders, places.features)
        with tempfile.TemporaryDirectory(dir=places.scratch) as tuned:
            place = Workplace(records.path, places.encoders, Path(tuned))
            result = run_trial(known, config, place, fold)
    except INTERRUPTIONS:
        raise
    except Exception as error:  # one trial must not lose the others
        _LOG.exception("%s, seed %d, failed.", name, config.seed)
        _never_taken_from_the_cache()
        return outcome | {"error": reason(error)}, pd.DataFrame({"id_1": pd.Series([], dtype="str")})
    outcome |= {
        "train_counts": result.train_counts,
        "best_epoch": result.trained.best_epoch,
        "history": result.trained.history,
        "ended": result.trained.ended,
    }
    table = prediction_table(result.ids, result.probabilities, config.task.labels)
    rows = np.arange(len(table)) if result.rows is None else result.rows
    return outcome, table.assign(true_index=result.labels, row=rows)


def _never_taken_from_the_cache() -> None:
    """Lets the next run try again: a failure is a result of this step, which ZenML would keep."""
    this = get_step_context().step_run.id
    Client().update_step_run(this, cache_expires_at=datetime.now(UTC).replace(tzinfo=None))
