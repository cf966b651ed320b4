"""A step of the retraining: the promotion gate."""

import logging
from typing import Annotated, Any

import pandas as pd
from zenml import step

from entailment.configuration.configuration import Configuration
from entailment.evaluation.report import most_frequent
from entailment.evaluation.words_baseline import answers_of_words
from entailment.model.end_to_end import features_of
from entailment.model.feature_index import FeatureIndex
from entailment.model.training import TrainedHead, predict
from entailment.promotion.champion import gather_evidence
from entailment.promotion.gate import decide
from entailment.records.index import read_index
from entailment.records.manifest import RecordsFolder
from entailment.task import kinds_of
from entailment.workspace import workspace
from materializers.report import ReportMaterializer
from steps.fingerprint import cached_by, never
from tracking import runs
from tracking.champion import load_champion

_LOG = logging.getLogger(__name__)


@step(
    experiment_tracker=True,
    output_materializers={"decision": ReportMaterializer},
    cache_policy=cached_by(never),
)
def judge(
    records: RecordsFolder,
    features: FeatureIndex,
    head: TrainedHead,
    splits: pd.DataFrame,
    split_report: dict[str, Any],
    source: dict[str, Any],
    champion: str,
    configuration: Configuration,
) -> Annotated[dict[str, Any], "decision"]:
    """Has the new head and the champion answer the same test rows and decides who is champion from now on."""
    places = workspace()
    known = features_of(features, configuration, places.encoders, places.features, head)
    challenger = predict(head.model, known.split(records.path, "test"))
    labels = configuration.task.labels
    majority = most_frequent(split_report["counts"], labels)
    index = read_index(records.path, "test")
    words = answers_of_words(records.path, splits, kinds_of(configuration.inputs), configuration.seed)
    with load_champion(champion, source, configuration) as (loaded, why):
        evidence = gather_evidence(
            index,
            challenger,
            splits,
            majority,
            labels,
            loaded,
            version=champion,
            no_champion=why,
            words=words,
        )
    resamples = configuration.evaluation.bootstrap_samples
    decision = decide(evidence, configuration.promotion, bootstrap_samples=resamples, seed=configuration.seed)
    usage = known.usage + loaded.predictor.usage if loaded else known.usage
    runs.log_feature_usage(usage, "judge")
    _LOG.info("%s: %s.", "Promoted" if decision.promote else "Not promoted", decision.why)
    return decision.as_dict()
