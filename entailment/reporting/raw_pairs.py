"""What is shown of the pairs before anything is trained on them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from entailment.configuration.model import ModelConfiguration
from entailment.evaluation.samples import raw_samples
from entailment.reporting.figures import samples_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def raw_pairs_figure(
    examples: "pd.DataFrame", counts: Mapping[str, Mapping[str, int]], config: ModelConfiguration
) -> "Figure":
    """Some pairs of a table, and how many there are of each class.

    `examples`: what `entailment.data.pairs.example_pairs` draws, with paths of their images; `counts`: rows by split
    and label.
    """
    labels = config.task.labels
    rows = raw_samples(examples, labels, config.images)
    by_class = {name: sum(split[name] for split in counts.values()) for name in labels}
    total = sum(by_class.values())
    shares = [f"{name} {count:,} ({count / total:.1%})" for name, count in by_class.items()]
    return samples_figure(rows, f"{len(rows)} of {total:,} pairs, at random", " · ".join(shares))
