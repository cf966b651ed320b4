"""A step of the comparison: train one variant with one seed."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.configuration import Configuration
from entailment.configuration.encoders import Encoders
from entailment.configuration.head import Head
from entailment.configuration.images import Images
from entailment.configuration.task import Inputs, Task
from entailment.configuration.training import Training
from entailment.errors import reason
from entailment.evaluation.report import prediction_table
from entailment.home import home, scratch
from entailment.model.end_to_end import Workplace
from entailment.model.features import configured_featurizer
from entailment.records.records import RecordsFolder
from entailment.trials.variants import train_variant as train
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
def train_variant(
    records: RecordsFolder,
    encoders: Encoders,
    inputs: Inputs,
    task: Task,
    head: Head,
    training: Training,
    seed: int,
    encoder_state: dict[str, str],
) -> tuple[Annotated[dict[str, Any], "outcome"], Annotated[pd.DataFrame, "predictions"]]:
    """Gives the training's course and the test split's predictions; a failure is an outcome with its reason."""
    outcome: dict[str, Any] = {"inputs": inputs, "loss": training.loss, "seed": seed}
    try:
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
            result = train(featurizer, config, Workplace(records.path, home() / "encoders", Path(tuned)))
    except INTERRUPTIONS:
        raise
    except Exception as error:  # one variant must not lose the others
        _LOG.exception("%s with %s, seed %d, failed.", inputs, training.loss, seed)
        return outcome | {"error": reason(error)}, pd.DataFrame({"id_1": pd.Series([], dtype="str")})
    trained = result.trained
    course = {"error": None, "best_epoch": trained.best_epoch, "history": trained.history}
    table = prediction_table(result.ids, result.probabilities, task.labels)
    return outcome | course, table.assign(true_index=result.labels)
