"""A step of the cross-validation: train on all but one fold and answer that one."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from zenml import step

from entailment.configuration.configuration import Configuration
from entailment.configuration.encoders import Encoders
from entailment.configuration.head import Head
from entailment.configuration.images import Images
from entailment.configuration.task import Inputs, Task
from entailment.configuration.training import Training
from entailment.data.split import UNDIVIDED, fold_rows
from entailment.errors import reason
from entailment.evaluation.report import prediction_table
from entailment.home import home, scratch
from entailment.model.end_to_end import Workplace
from entailment.model.features import configured_featurizer
from entailment.records.records import RecordsFolder, read_index
from entailment.trials.variants import train_fold as train
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
def train_fold(
    records: RecordsFolder,
    encoders: Encoders,
    inputs: Inputs,
    task: Task,
    head: Head,
    training: Training,
    validation_fraction: float,
    folds: int,
    fold: int,
    seed: int,
    encoder_state: dict[str, str],
) -> tuple[Annotated[dict[str, Any], "outcome"], Annotated[pd.DataFrame, "predictions"]]:
    """Gives the training's course and the answers to a fold (from 1); a failure is an outcome with its reason."""
    try:
        labels = read_index(records.path, UNDIVIDED).labels
        rows = fold_rows(labels, folds, seed, validation_fraction)[fold - 1]
        images = Images(size=records.image_size)
        config = Configuration(
            seed=seed,
            inputs=inputs,
            task=task,
            images=images,
            encoders=encoders,
            head=head,
            training=training,
        )
        featurizer = configured_featurizer(config, home() / "encoders", home() / "features")
        with tempfile.TemporaryDirectory(dir=scratch()) as tuned:
            place = Workplace(records.path, home() / "encoders", Path(tuned))
            result = train(featurizer, rows, config, place)
    except INTERRUPTIONS:
        raise
    except Exception as error:  # one fold must not lose the others
        _LOG.exception("Fold %d failed.", fold)
        return {"fold": fold, "error": reason(error)}, pd.DataFrame({"id_1": pd.Series([], dtype="str")})
    outcome = {
        "fold": fold,
        "error": None,
        "train_counts": np.bincount(labels[rows.train], minlength=len(task.labels)).tolist(),
        "best_epoch": result.trained.best_epoch,
        "history": result.trained.history,
    }
    table = prediction_table(result.ids, result.probabilities, task.labels)
    return outcome, table.assign(true_index=result.labels, row=rows.test)
