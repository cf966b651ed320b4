"""Everything that is said of a model on one split."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entailment.configuration import Evaluation
from entailment.data.records import read_rows
from entailment.data.schema import LABEL, LABELS, PROBABILITY
from entailment.evaluation.figures import (
    Sample,
    confusion_matrix_figure,
    samples_figure,
    training_curves_figure,
)
from entailment.evaluation.metrics import Metrics, classification_report, confusion_counts, evaluate
from entailment.evaluation.model_graph import model_graph_figure
from entailment.model.featurizer import Featurizer
from entailment.model.training import TrainedHead, predict

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EvaluatedSplit:
    """Figures, tables and pictures of a model on the test split."""

    metrics: Metrics
    confusion: dict[str, Any]
    """`labels` and `counts`, rows are the true class."""
    classification_report: dict[str, Any]
    predictions: "pd.DataFrame"
    """Columns as in the contract on predictions, and `true_label`."""
    figures: "dict[str, Figure]"
    """By file name."""


def evaluate_split(
    records: Path,
    head: TrainedHead,
    featurizer: Featurizer,
    counts: Mapping[str, Mapping[str, int]],
    config: Evaluation,
    seed: int,
) -> EvaluatedSplit:
    """Judges a trained head on the test split of a folder of records.

    `counts` are rows by split and label; the most frequent label of `train` is the baseline's answer.
    """
    features = featurizer.split(records, "test")
    probabilities = predict(head.model, features)
    metrics = evaluate(
        features.labels,
        probabilities,
        majority=LABELS.index(_most_frequent(counts)),
        bootstrap_samples=config.bootstrap_samples,
        confidence=config.confidence,
        seed=seed,
    )
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_counts(features.labels, predicted)
    baseline = f"baseline {metrics.majority_accuracy:.2f}"
    title = f"Test: macro-F1 {metrics.macro_f1:.2f}, accuracy {metrics.accuracy:.2f} ({baseline})"
    return EvaluatedSplit(
        metrics,
        {"labels": list(LABELS), "counts": confusion.tolist()},
        classification_report(features.labels, predicted),
        prediction_table(features.ids, probabilities).assign(true_label=[LABELS[i] for i in features.labels]),
        {
            "confusion_matrix.png": confusion_matrix_figure(confusion, title),
            "samples.png": samples_figure(_samples(records, probabilities, config.sample_rows)),
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


def _samples(records: Path, probabilities: "np.ndarray", rows: int) -> list[Sample]:
    import numpy as np

    samples = []
    first = np.arange(min(rows, len(probabilities)))
    for row, answer in zip(read_rows(records, "test", first), probabilities, strict=False):
        index = int(answer.argmax())
        samples.append(
            Sample(
                text_1=row.texts[0],
                image_1=row.images[0],
                text_2=row.texts[1],
                image_2=row.images[1],
                label=LABELS[row.label],
                predicted=LABELS[index],
                probability=float(answer[index]),
            )
        )
    return samples
