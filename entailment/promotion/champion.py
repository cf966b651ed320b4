"""The champion and a challenger side by side: what the promotion gate and the drift report look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.configuration import Configuration
from entailment.configuration.images import MAX_DECODED_BYTES
from entailment.data.image_paths import OK, resolve_image_paths
from entailment.data.images import read_header
from entailment.data.pairs import pair_hashes
from entailment.errors import ImageError
from entailment.evaluation.slices import SLICES, evaluated_pairs
from entailment.inputs import kind_named
from entailment.model.features import SplitFeatures
from entailment.promotion.drift import DriftReport, PairRows, drift_report
from entailment.promotion.gate import Evidence
from entailment.records.index import RecordsIndex, pairs_in_order
from entailment.serving.predictor import Predictor
from entailment.task import (
    IMAGE_PATH,
    IMAGE_STATUS,
    KINDS,
    TEXT,
    kinds_of,
    probability_columns,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_ROWS_AT_ONCE: Final = 256
"""Rows whose image files are held together."""


@dataclass(frozen=True)
class Champion:
    """The registered model that is to be beaten."""

    version: str
    predictor: Predictor
    labels: tuple[str, ...]
    """The classes, in the order of their indices."""
    pairs: Mapping[str, Sequence[str]]
    """The hashes of its pairs (`pair_hashes`) by split."""
    images: Path | None = None
    """Where it finds images, if the challenger reads texts alone and its pairs name none."""
    max_pixels: int = 0
    """Limit of an image there."""
    max_decoded_bytes: int = MAX_DECODED_BYTES
    """What is decoded at once there."""

    def probabilities(self, pairs: "pd.DataFrame") -> "np.ndarray":
        """Its answers from the raw texts and image files: float [n, classes], NaN in rows that it cannot answer.

        `pairs`: texts, and path and status of the images, as `resolve_image_paths` gives them.
        """
        import numpy as np

        if self.images:
            limits = {"max_pixels": self.max_pixels, "max_decoded_bytes": self.max_decoded_bytes}
            pairs, _ = resolve_image_paths(pairs, self.images, missing="mask", **limits)
        columns = list(probability_columns(self.labels))
        answers = np.full((len(pairs), len(self.labels)), np.nan)
        for start in range(0, len(pairs), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            answers[rows] = self.predictor.predict(_raw(pairs.iloc[rows]))[columns].to_numpy()
        return answers

    def answers(self, pairs: "pd.DataFrame") -> "np.ndarray":
        """The classes it answers, int64 [k]; rows that it cannot answer are left out."""
        import numpy as np

        probabilities = self.probabilities(pairs)
        classes: np.ndarray = probabilities[np.isfinite(probabilities).all(axis=1)].argmax(axis=1)
        return classes

    def knows(self, hashes: "np.ndarray", *splits: str) -> "np.ndarray":
        """Which of the pairs with these hashes, [n], lie in one of its splits named: bool [n]."""
        import pandas as pd

        known = {pair for split in splits for pair in self.pairs[split]}
        # By hashing: NumPy's isin compares objects one by one with each other.
        inside: np.ndarray = pd.Series(hashes, dtype="object").isin(known).to_numpy(bool)
        return inside


def gather_evidence(
    index: RecordsIndex,
    challenger: "np.ndarray",
    splits: "pd.DataFrame",
    majority: int,
    classes: tuple[str, ...],
    champion: Champion | None,
    *,
    version: str,
    no_champion: str = "",
    words: "np.ndarray | None" = None,
) -> Evidence:
    """The answers of challenger and champion to the same test rows.

    Args:
        index: of the test rows.
        challenger: its probabilities of them, [n, classes].
        splits: the pairs with images resolved and the column `split`.
        majority: the most frequent class of the training rows.
        classes: their names, in the order of the indices.
        champion: None where there is nobody to be compared with, for the reason `no_champion`.
        version: the champion's, also where it is not to be compared with.
        words: what words alone answer, int64 [n], if they can.
    """
    import numpy as np

    known = evaluated_pairs(index, splits)
    slices = {name: function(known) for name, function in SLICES.items()}
    said = challenger.astype(np.float64)
    if champion is None:
        alone: dict[str, Any] = {"slices": slices, "no_champion": no_champion, "words": words}
        return Evidence(index.labels, said, classes, majority, version, **alone)
    # The validation rows chose its epoch and its temperature: it has learned from them too.
    unseen = ~champion.knows(pair_hashes(index.ids), "train", "validation")
    answers = champion.probabilities(pairs_in_order(index.ids, splits))
    return Evidence(index.labels, said, classes, majority, version, answers, unseen, slices, words=words)


def drift_configuration(config: Configuration) -> Configuration:
    """The same with frozen encoders, whose features drift can be measured on."""
    encoders = config.encoders.with_each({name: {"trainable": 0} for name in KINDS})
    return config.model_copy(update={"encoders": encoders})


def measure_drift(
    features: Sequence[SplitFeatures],
    splits: "pd.DataFrame",
    champion: Champion | None,
    config: Configuration,
    no_champion: str = "",
) -> DriftReport:
    """Compares the rows that no split of the champion holds with those that it was trained on.

    Its training rows are found in the present data by their hashes: data sets of our own only grow. Its answers to
    new rows are compared with those to its validation and test rows: the training rows it knows by heart.

    Args:
        features: of all splits, as `drift_configuration` gives them.
        splits: the pairs with images resolved and the column `split`.
        champion: None where nothing is to be measured, for the reason `no_champion`.
        config: seed, inputs and thresholds.
    """
    import numpy as np
    import pandas as pd

    if champion is None:
        return DriftReport(0, 0, no_champion)
    ids = pd.concat([part.ids for part in features], ignore_index=True)
    hashes = pair_hashes(ids)
    trained = champion.knows(hashes, "train")
    held_out = champion.knows(hashes, "validation", "test")
    new = ~trained & ~held_out
    if not trained.any():
        why = f"the data hold none of the rows that version {champion.version} was trained on"
        return DriftReport(0, int(new.sum()), why)
    generator = np.random.default_rng(config.seed)
    rows = [
        _drawn(np.flatnonzero(mask), config.drift.max_rows, generator) for mask in (trained, new, held_out)
    ]
    pairs = [pairs_in_order(ids.iloc[numbers], splits) for numbers in rows]
    reference, recent = (_pair_rows(pairs[side], _taken(features, rows[side])) for side in range(2))
    answers = champion.answers(pairs[2]), champion.answers(pairs[1])
    options: dict[str, Any] = {"with_images": "image" in kinds_of(config.inputs), "seed": config.seed}
    options["classes"] = len(config.task.labels)
    return drift_report(reference, recent, answers, config.drift, **options)


def _drawn(rows: "np.ndarray", most: int, generator: "np.random.Generator") -> "np.ndarray":
    """At most so many of the rows, in order."""
    import numpy as np

    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False))


def _pair_rows(pairs: "pd.DataFrame", features: "np.ndarray") -> PairRows:
    import numpy as np

    texts = list(zip(*(pairs[name].tolist() for name in TEXT), strict=True))
    sizes = [
        [_pixels(path) if status == OK else float("nan") for path, status in _found(pairs, side)]
        for side in range(2)
    ]
    return PairRows(texts, np.array(sizes, np.float64).T, features)


def _taken(features: "Sequence[SplitFeatures]", rows: "np.ndarray") -> "np.ndarray":
    """All features of some rows side by side, float32 [k, width]; rows are counted through the splits."""
    import numpy as np

    parts, start = [], 0
    for split in features:
        inside = rows[(rows >= start) & (rows < start + len(split.labels))] - start
        columns = [column for name, column in split.inputs.items() if not name.endswith("_present")]
        parts.append(np.concatenate([column[inside] for column in columns], axis=1))
        start += len(split.labels)
    return np.concatenate(parts)


def _raw(pairs: "pd.DataFrame") -> "pd.DataFrame":
    """Texts, image bytes and what further columns hold, as the registered model takes them."""
    import pandas as pd

    kinds = [one for name in KINDS if (one := kind_named(name)).is_in(pairs)]
    return pd.DataFrame(
        {column: one.raw(pairs, side) for one in kinds for side, column in enumerate(one.columns)}
    )


def _found(pairs: "pd.DataFrame", side: int) -> "Iterator[tuple[str, str]]":
    """Path and status of each row's image on one side."""
    yield from zip(pairs[IMAGE_PATH[side]].tolist(), pairs[IMAGE_STATUS[side]].tolist(), strict=True)


def _pixels(path: str) -> float:
    """Width times height of an image file, NaN where it cannot be read."""
    if not path:
        return float("nan")
    try:
        with Path(path).open("rb") as stream:
            header = read_header(stream, 2**62, 2**62)
    except (OSError, ImageError):
        return float("nan")
    return float(header.width * header.height)
