"""The champion and a challenger side by side: what the promotion gate and the drift report look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration import Configuration
from entailment.data.image_paths import OK, resolve_image_paths
from entailment.data.images import read_header
from entailment.data.pairs import pair_hashes
from entailment.data.records import read_index
from entailment.data.schema import ID, IMAGE_PATH, IMAGE_STATUS, LABELS, PROBABILITY, SPLITS, TEXT
from entailment.errors import ImageError
from entailment.evaluation.drift import DriftReport, PairRows, drift_report
from entailment.evaluation.promotion import Evidence
from entailment.evaluation.slices import SLICES, evaluated_pairs
from entailment.model.featurizer import Featurizer
from entailment.model.training import TrainedHead, predict
from entailment.serving.predictor import IMAGE, Predictor

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_ROWS_AT_ONCE: Final = 256
"""Rows whose image files are held together."""
_LEARNED_FROM: Final = ("train", "validation")
"""Splits that a model has seen: the second chose its epoch and its temperature."""


@dataclass(frozen=True)
class Champion:
    """The registered model that is to be beaten."""

    version: str
    predictor: Predictor
    pairs: Mapping[str, Sequence[str]]
    """The hashes of its pairs (`pair_hashes`) by split."""
    images: Path | None = None
    """Where it finds images, if the challenger reads texts alone and its pairs name none."""
    max_pixels: int = 0
    """Limit of an image there."""

    def probabilities(self, pairs: "pd.DataFrame") -> "np.ndarray":
        """Its answers from the raw texts and image files: float [n, 3], NaN in rows that it cannot answer.

        `pairs`: texts, and path and status of the images, as `resolve_image_paths` gives them.
        """
        import numpy as np

        if self.images:
            pairs, _ = resolve_image_paths(pairs, self.images, missing="mask", max_pixels=self.max_pixels)
        answers = np.full((len(pairs), len(LABELS)), np.nan)
        for start in range(0, len(pairs), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            answers[rows] = self.predictor.predict(_raw(pairs.iloc[rows]))[list(PROBABILITY)].to_numpy()
        return answers


def gather_evidence(
    records: Path,
    head: TrainedHead,
    featurizer: Featurizer,
    splits: "pd.DataFrame",
    majority: int,
    champion: Champion | None,
    *,
    version: str,
    no_champion: str = "",
) -> Evidence:
    """The answers of the challenger's head and of the champion to the same test rows.

    `splits`: the pairs with images resolved and the column `split`; `version`: the champion's, also where it is not
    to be compared with (`champion` is None) for the reason `no_champion`.
    """
    import numpy as np

    index = read_index(records, "test")
    challenger = predict(head.model, featurizer.split(records, "test")).astype(np.float64)
    known = evaluated_pairs(index, splits)
    slices = {name: function(known) for name, function in SLICES.items()}
    if champion is None:
        return Evidence(index.labels, challenger, majority, version, slices=slices, no_champion=no_champion)
    learned = np.array([pair for split in _LEARNED_FROM for pair in champion.pairs[split]], object)
    unseen = ~np.isin(pair_hashes(index.ids), learned)
    answers = champion.probabilities(_in_order(index.ids, splits))
    return Evidence(index.labels, challenger, majority, version, answers, unseen, slices)


def measure_drift(
    records: Path,
    featurizer: Featurizer,
    splits: "pd.DataFrame",
    champion: Champion | None,
    config: Configuration,
    no_champion: str = "",
) -> DriftReport:
    """Compares the rows that no split of the champion holds with those that it was trained on.

    The training rows are found in the present data by their hashes: data sets of our own only grow. Without a
    champion nothing is measured, for the reason `no_champion`.
    """
    import numpy as np

    if champion is None:
        return DriftReport(0, 0, no_champion)
    ids, features = _all_features(records, featurizer)
    hashes = pair_hashes(ids)
    trained = np.isin(hashes, np.array(champion.pairs["train"], object))
    known = np.isin(hashes, np.array([pair for split in SPLITS for pair in champion.pairs[split]], object))
    if not trained.any():
        why = f"the data hold none of the rows that version {champion.version} was trained on"
        return DriftReport(0, int((~known).sum()), why)
    generator = np.random.default_rng(config.seed)
    reference, new = (
        _pair_rows(
            _drawn(np.flatnonzero(mask), config.drift.max_rows, generator), ids, features, splits, champion
        )
        for mask in (trained, ~known)
    )
    with_images = config.inputs != "text"
    return drift_report(reference, new, config.drift, with_images=with_images, seed=config.seed)


def _all_features(records: Path, featurizer: Featurizer) -> "tuple[pd.DataFrame, list[dict[str, Any]]]":
    """Ids of all rows, and by split their columns of features."""
    import pandas as pd

    parts = [featurizer.split(records, split) for split in SPLITS]
    columns = [
        {name: column for name, column in part.inputs.items() if not name.endswith("_present")}
        for part in parts
    ]
    return pd.concat([part.ids for part in parts], ignore_index=True), columns


def _drawn(rows: "np.ndarray", most: int, generator: "np.random.Generator") -> "np.ndarray":
    """At most so many of the rows, in order."""
    import numpy as np

    return rows if len(rows) <= most else np.sort(generator.choice(rows, most, replace=False))


def _pair_rows(
    rows: "np.ndarray",
    ids: "pd.DataFrame",
    features: "list[dict[str, Any]]",
    splits: "pd.DataFrame",
    champion: Champion,
) -> PairRows:
    import numpy as np

    pairs = _in_order(ids.iloc[rows], splits)
    texts = list(zip(*(pairs[name].tolist() for name in TEXT), strict=True))
    sizes = np.array(
        [[_pixels(row[path]) for path in IMAGE_PATH] for row in pairs.to_dict("records")], np.float64
    )
    answers = champion.probabilities(pairs)
    return PairRows(
        texts,
        sizes.reshape(len(pairs), len(IMAGE_PATH)),
        _taken(features, rows),
        # A row that it cannot answer counts as the last class, which is what most rows are.
        np.where(np.isnan(answers).any(axis=1), len(LABELS) - 1, np.nan_to_num(answers).argmax(axis=1)),
    )


def _taken(features: "list[dict[str, Any]]", rows: "np.ndarray") -> "np.ndarray":
    """Some rows of all columns side by side, float32 [k, width]; rows are counted through the splits."""
    import numpy as np

    parts, start = [], 0
    for columns in features:
        length = len(next(iter(columns.values())))
        inside = rows[(rows >= start) & (rows < start + length)] - start
        parts.append(np.concatenate([column[inside] for column in columns.values()], axis=1))
        start += length
    return np.concatenate(parts)


def _in_order(ids: "pd.DataFrame", splits: "pd.DataFrame") -> "pd.DataFrame":
    """The pairs of `splits` that `ids` names, in their order."""
    pairs: pd.DataFrame = ids[list(ID)].merge(splits.drop_duplicates(list(ID)), on=list(ID), how="left")
    return pairs


def _raw(pairs: "pd.DataFrame") -> "pd.DataFrame":
    """Texts and image bytes, as the registered model takes them."""
    import pandas as pd

    columns: dict[str, Any] = {name: pairs[name].tolist() for name in TEXT}
    for name, path, status in zip(IMAGE, IMAGE_PATH, IMAGE_STATUS, strict=True):
        found = zip(pairs[path].tolist(), pairs[status].tolist(), strict=True)
        columns[name] = [Path(file).read_bytes() if state == OK else b"" for file, state in found]
    return pd.DataFrame(columns)


def _pixels(path: str) -> float:
    """Width times height of an image file, NaN where it cannot be read."""
    if not path:
        return float("nan")
    try:
        with Path(path).open("rb") as stream:
            header = read_header(stream, 2**62)
    except (OSError, ImageError):
        return float("nan")
    return float(header.width * header.height)
