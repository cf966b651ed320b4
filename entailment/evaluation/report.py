"""Everything that is said of a model on one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entailment.configuration.evaluation import Evaluation
from entailment.evaluation.missing_modalities import missing_metrics, missing_modalities_table
from entailment.evaluation.samples import Sample, confident_errors, rows_to_show, samples
from entailment.evaluation.slices import evaluated_pairs, slice_table
from entailment.evaluation.words_baseline import answers_of_words, words_figures
from entailment.metric_names import TEST, in_group
from entailment.model.feature_index import IndexedFeatures
from entailment.model.features import Featurizer
from entailment.model.head import kinds_among, logits_model, temperature_of
from entailment.model.training import TrainedHead, predict
from entailment.records.index import read_index
from entailment.statistics.calibration import calibration_report, softmax
from entailment.statistics.confusion import confusion_counts
from entailment.statistics.metrics import Metrics, classification_report, evaluate
from entailment.task import LABEL, probability_columns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class EvaluatedSplit:
    """Figures, tables and samples of a model on the test split."""

    metrics: Metrics
    confusion: dict[str, Any]
    """`labels` and `counts`, rows are the true class."""
    classification_report: dict[str, Any]
    calibration: dict[str, Any]
    """What `calibration_report` gives."""
    slices: "pd.DataFrame"
    """What `slice_table` gives."""
    missing_modalities: "pd.DataFrame"
    """What `missing_modalities_table` gives."""
    predictions: "pd.DataFrame"
    """What `prediction_table` gives of the test rows, and `true_label`."""
    samples: list[Sample]
    """The first right and wrong answers, class by class."""
    confident_errors: list[Sample]
    """Wrong answers, the surest first."""
    words: dict[str, float]
    """What `words_figures` gives."""

    def final_metrics(self) -> dict[str, float]:
        """Every figure of the test split by the name that it is logged under."""
        missing = in_group(missing_metrics(self.missing_modalities), TEST)
        return self.metrics.as_dict(TEST) | self.words | missing


def evaluate_split(
    records: Path,
    head: TrainedHead,
    featurizer: Featurizer | IndexedFeatures,
    counts: Mapping[str, Mapping[str, int]],
    config: Evaluation,
    seed: int,
    splits: "pd.DataFrame",
) -> EvaluatedSplit:
    """Judges a trained head on the test split of a folder of records.

    `counts` are rows by split and label; the most frequent label of `train` is one baseline's answer, the other are
    words alone, learned from the training rows of the records. `splits` are the pairs with their texts, image URLs
    and the column `split`.
    """
    features = featurizer.split(records, "test")
    labels, names, probabilities = features.labels, features.classes, predict(head.model, features)
    predicted = probabilities.argmax(axis=1)
    majority = most_frequent(counts, names)
    resampling: dict[str, Any] = {
        "bootstrap_samples": config.bootstrap_samples,
        "confidence": config.confidence,
        "seed": seed,
    }
    metrics = evaluate(labels, probabilities, names, majority=majority, **resampling)
    confusion = confusion_counts(labels, predicted, len(names))
    uncalibrated = softmax(predict(logits_model(head.model), features))
    calibration = calibration_report(
        labels, uncalibrated, probabilities, temperature_of(head.model), config.confidence
    )
    pairs = evaluated_pairs(read_index(records, "test"), splits)
    words = answers_of_words(records, splits, kinds_among(features.inputs), seed)
    return EvaluatedSplit(
        metrics,
        {"labels": list(names), "counts": confusion.tolist()},
        classification_report(labels, probabilities, names, config.confidence),
        calibration,
        slice_table(pairs, labels, predicted, names, majority=majority, **resampling),
        missing_modalities_table(
            features,
            predicted,
            lambda lacking: predict(head.model, lacking).argmax(axis=1),
            majority=majority,
            **resampling,
        ),
        prediction_table(features.ids, probabilities, names).assign(true_label=[names[i] for i in labels]),
        samples(records, probabilities, rows_to_show(labels, predicted, config.sample_rows), names),
        confident_errors(records, labels, probabilities, names),
        words_figures(labels, predicted[None], words, len(names), **resampling),
    )


def prediction_table(
    ids: "pd.DataFrame", probabilities: "np.ndarray", names: Sequence[str]
) -> "pd.DataFrame":
    """The table of predictions: ids, label (class name), a probability for each class, and an empty error."""
    import numpy as np

    table = ids.reset_index(drop=True)
    table[LABEL] = np.array(names)[probabilities.argmax(axis=1)]
    for column, name in enumerate(probability_columns(names)):
        table[name] = probabilities[:, column]
    return table.assign(error="")


def most_frequent(counts: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> int:
    """Index of the class that most training rows have, the first of equals; `counts` are rows by split and label."""
    return max(range(len(names)), key=lambda index: counts["train"][names[index]])
