"""What is shown of the pairs before anything is trained on them."""

from typing import TYPE_CHECKING, Final

from entailment.configuration.model import ModelConfiguration
from entailment.evaluation.samples import raw_samples
from entailment.reporting.figures import samples_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PAIRS_SHOWN: Final = 6


def raw_pairs_figure(pairs: "pd.DataFrame", config: ModelConfiguration) -> "Figure":
    """Some pairs at random, the same for the same seed, and how many there are of each class.

    `pairs`: with paths of their images, as `resolve_image_paths` gives them.
    """
    labels, total = config.task.labels, len(pairs)
    rows = raw_samples(pairs, labels, PAIRS_SHOWN, config.seed, config.images)
    counts = pairs["label_index"].value_counts().reindex(range(len(labels)), fill_value=0)
    shares = [f"{name} {count:,} ({count / total:.1%})" for name, count in zip(labels, counts, strict=True)]
    return samples_figure(rows, f"{len(rows)} of {total:,} pairs, at random", " · ".join(shares))
