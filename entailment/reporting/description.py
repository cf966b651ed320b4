"""What a run, a model and a version are called, and the few lines that say what it is and how good."""

import re
from collections.abc import Mapping
from typing import Final

from entailment.inputs import kind_named
from entailment.metric_names import BASELINE, MACRO_F1, POOLED, TEST
from entailment.reporting.markdown import plain
from entailment.task import kinds_of

_LONGEST: Final = 60
"""Characters of a title."""


def dataset_title(name: str, version: object = None) -> str:
    """A data set's name, with its version where it has one.

    >>> dataset_title("mine", 2)
    'mine@2'
    """
    return f"{name}@{version}" if version else name


def title(what: str, dataset: str = "") -> str:
    """A name for what was trained or compared, and for its run: first what tells it from others.

    >>> title("text cross_entropy", "pairs.csv")
    'text cross entropy pairs_csv'
    """
    return re.sub(r"[^\w@ -]", "_", f"{what.replace('_', ' ')} {dataset}")[:_LONGEST].strip()


def headline(of: str, macro_f1: float, accuracy: float, majority_accuracy: float) -> str:
    """The line above a picture of answers: how good they are.

    >>> headline("Test", 0.5, 0.75, 0.7)
    'Test: macro-F1 0.50, accuracy 0.75 (baseline 0.70)'
    """
    return f"{of}: macro-F1 {macro_f1:.2f}, accuracy {accuracy:.2f} (baseline {majority_accuracy:.2f})"


def description(
    facts: Mapping[str, str],
    metrics: Mapping[str, float],
    confidence: float,
    counts: Mapping[str, Mapping[str, int]] | None = None,
    further: str = "",
) -> str:
    """Lines of Markdown: what was trained on what, its figures with their intervals, what the baselines get.

    Args:
        facts: tags of the run: `inputs`, `loss`, `dataset`, `dataset.version` (may lack), `data.generated`.
        metrics: final figures by the names that they are logged under, of the test rows, else those of validation
            folds in `pooled/`; a line is left out where it has none.
        confidence: level of the intervals.
        counts: rows by split and label, where they are known.
        further: a last line: where to look next.
    """
    counts = counts or {}
    told = [f"{sum(sum(labels.values()) for labels in counts.values()):,} pairs"] if counts else []
    told += ["GENERATED data"] if facts["data.generated"] == "true" else []
    data = plain(dataset_title(facts["dataset"], facts.get("dataset.version")))
    about = f" ({'; '.join(told)})" if told else ""
    lines = [
        f"{_seen(facts['inputs'])}, {facts['loss'].replace('_', ' ')} loss, on {data}{about}.",
        _figures(metrics, confidence, sum(counts.get("test", {}).values())),
        _baselines(metrics, counts.get("train", {})),
        further,
    ]
    return "  \n".join(filter(None, lines))


def _seen(inputs: str) -> str:
    plurals = [kind_named(kind).plural for kind in kinds_of(inputs)]
    words = f"{', '.join(plurals[:-1])} and {plurals[-1]}" if plurals[1:] else f"{plurals[0]} alone"
    return words[0].upper() + words[1:]


def _figures(metrics: Mapping[str, float], confidence: float, rows: int) -> str:
    where, group = ("Test", TEST) if MACRO_F1 in metrics else ("Validation folds together", POOLED)
    words = {"macro_f1": f"{confidence:.0%} interval ", "accuracy": ""}
    told = [
        f"{name} {metrics[group + key]:.3f}{_interval(metrics, group + key, words[key])}"
        for name, key in (("macro-F1", "macro_f1"), ("accuracy", "accuracy"))
        if group + key in metrics
    ]
    return f"{where}: {', '.join(told)}{f', on {rows:,} rows' if rows else ''}." if told else ""


def _interval(metrics: Mapping[str, float], name: str, words: str) -> str:
    if f"{name}_low" not in metrics:
        return ""
    return f" ({words}{metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f})"


def _baselines(metrics: Mapping[str, float], train: Mapping[str, int]) -> str:
    group = BASELINE if MACRO_F1 in metrics else POOLED
    majority = plain(max(train, key=lambda label: train[label])) if train else "the majority class"
    told = []
    for words, key in ((f"always {majority}", "majority"), ("words alone", "words")):
        names = {"macro-F1": f"{group}{key}_macro_f1", "accuracy": f"{group}{key}_accuracy"}
        figures = [f"{name} {metrics[one]:.3f}" for name, one in names.items() if one in metrics]
        told += [f"{words}: {', '.join(figures)}"] if figures else []
    return f"Baselines: {'; '.join(told)}." if told else ""
