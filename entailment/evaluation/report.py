"""Everything that is said of a model on one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration import Evaluation
from entailment.data.records import Row, read_index, read_rows
from entailment.data.schema import LABEL, LABELS, PROBABILITY
from entailment.evaluation.calibration import calibration_report, softmax
from entailment.evaluation.figures import (
    Sample,
    confusion_matrix_figure,
    reliability_figure,
    samples_figure,
    sentence_figure,
    training_curves_figure,
)
from entailment.evaluation.metrics import Metrics, classification_report, confusion_counts, evaluate
from entailment.evaluation.missing_modalities import missing_metrics, missing_modalities_table
from entailment.evaluation.model_graph import model_graph_figure
from entailment.evaluation.slices import evaluated_pairs, slice_table
from entailment.model.featurizer import Featurizer
from entailment.model.head import logits_model, temperature_of
from entailment.model.training import TrainedHead, predict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

_ERRORS_SHOWN: Final = 20


@dataclass(frozen=True)
class EvaluatedSplit:
    """Figures, tables and pictures of a model on the test split."""

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
    """Columns as in the contract on predictions, and `true_label`."""
    figures: "dict[str, Figure]"
    """By file name."""

    def final_metrics(self) -> dict[str, float]:
        """Every figure of the test split by the name that it is logged under."""
        return self.metrics.as_dict("test_") | missing_metrics(self.missing_modalities, "test_")


def evaluate_split(
    records: Path,
    head: TrainedHead,
    featurizer: Featurizer,
    counts: Mapping[str, Mapping[str, int]],
    config: Evaluation,
    seed: int,
    splits: "pd.DataFrame",
) -> EvaluatedSplit:
    """Judges a trained head on the test split of a folder of records.

    `counts` are rows by split and label; the most frequent label of `train` is the baseline's answer. `splits` are
    the pairs with their texts, image URLs and the column `split`.
    """
    features = featurizer.split(records, "test")
    labels, probabilities = features.labels, predict(head.model, features)
    predicted = probabilities.argmax(axis=1)
    majority = LABELS.index(_most_frequent(counts))
    resampling: dict[str, Any] = {
        "bootstrap_samples": config.bootstrap_samples,
        "confidence": config.confidence,
        "seed": seed,
    }
    metrics = evaluate(labels, probabilities, majority=majority, **resampling)
    confusion = confusion_counts(labels, predicted)
    uncalibrated = softmax(predict(logits_model(head.model), features))
    calibration = calibration_report(labels, uncalibrated, probabilities, temperature_of(head.model))
    pairs = evaluated_pairs(read_index(records, "test"), splits)
    baseline = f"baseline {metrics.majority_accuracy:.2f}"
    title = f"Test: macro-F1 {metrics.macro_f1:.2f}, accuracy {metrics.accuracy:.2f} ({baseline})"
    return EvaluatedSplit(
        metrics,
        {"labels": list(LABELS), "counts": confusion.tolist()},
        classification_report(labels, probabilities, **resampling),
        calibration,
        slice_table(pairs, labels, predicted, majority=majority, **resampling),
        missing_modalities_table(
            features,
            predicted,
            lambda lacking: predict(head.model, lacking).argmax(axis=1),
            majority=majority,
            **resampling,
        ),
        prediction_table(features.ids, probabilities).assign(true_label=[LABELS[i] for i in labels]),
        {
            "confusion_matrix.png": confusion_matrix_figure(confusion, title),
            "samples.png": _samples_figure(records, probabilities, range(config.sample_rows)),
            "confident_errors.png": _confident_errors_figure(records, labels, probabilities),
            "reliability.png": reliability_figure(calibration, f"Calibration on the {len(labels)} test rows"),
            "model.png": model_graph_figure(head.model),
            "training_curves.png": training_curves_figure(head.history),
        },
    )


def prediction_table(ids: "pd.DataFrame", probabilities: "np.ndarray") -> "pd.DataFrame":
    """The table of predictions: ids, label (class name), a probability for each class, and an empty error."""
    import numpy as np

    table = ids.reset_index(drop=True)
    table[LABEL] = np.array(LABELS)[probabilities.argmax(axis=1)]
    for column, name in enumerate(PROBABILITY):
        table[name] = probabilities[:, column]
    return table.assign(error="")


def _most_frequent(counts: Mapping[str, Mapping[str, int]]) -> str:
    return max(LABELS, key=lambda label: counts["train"][label])


def _confident_errors_figure(records: Path, labels: "np.ndarray", probabilities: "np.ndarray") -> "Figure":
    """The wrong answers with the largest probability, the surest first."""
    import numpy as np

    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    if not len(wrong):
        return sentence_figure(f"No errors: all {len(labels)} test rows were answered right.")
    surest = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")[:_ERRORS_SHOWN]
    return _samples_figure(records, probabilities, wrong[surest].tolist())


def _samples_figure(records: Path, probabilities: "np.ndarray", rows: Sequence[int]) -> "Figure":
    """Some test rows, by number, in the order of `rows`; numbers that are too large are left out."""
    import numpy as np

    shown = [row for row in rows if row < len(probabilities)]
    in_order = sorted(shown)
    found = dict(zip(in_order, read_rows(records, "test", np.array(in_order)), strict=True))
    return samples_figure([_sample(found[row], probabilities[row]) for row in shown])


def _sample(row: Row, answer: "np.ndarray") -> Sample:
    index = int(answer.argmax())
    return Sample(
        ids=row.ids,
        text_1=row.texts[0],
        image_1=row.images[0],
        text_2=row.texts[1],
        image_2=row.images[1],
        label=LABELS[row.label],
        predicted=LABELS[index],
        probability=float(answer[index]),
    )
