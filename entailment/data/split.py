"""Dividing pairs into train, validation and test."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration import Split
from entailment.data.pairs import pair_hashes
from entailment.data.schema import ID, LABEL, LABEL_INDEX_COLUMN, LABELS, SPLITS, TEXT
from entailment.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

SPLIT_COLUMN: Final = "split"
_ROWS_AT_ONCE: Final = 2**16
"""Rows of which Python objects are made at once."""


def split_pairs(pairs: "pd.DataFrame", config: Split, seed: int) -> "pd.DataFrame":
    """Adds the column `split` ("train", "validation" or "test"); rows of one split stay in the split's order.

    `stratified` makes the two calls of the Keras example: test from all rows, then validation from the rest,
    both stratified by label. `hash` looks at a pair's ids alone, so that growing data moves no row.

    Raises:
        DataError: a class has too few rows, a split would be empty, or ids or texts are shared between splits
            while `split.on_leak` is `error`.
    """
    order = _stratified(pairs, config, seed) if config.method == "stratified" else _hashed(pairs, config)
    for name in SPLITS:
        if len(order[name]) == 0:
            raise DataError(
                f"The {name} split would be empty: {len(pairs)} rows are too few for split.test_fraction="
                f"{config.test_fraction} and split.validation_fraction={config.validation_fraction}."
            )
    frame = _in_order(pairs, order)
    if config.on_leak == "error" and any((leaks := shared_between_splits(frame)).values()):
        raise DataError(
            f"The splits share {_describe(leaks)} (split.on_leak is error). Remove the repeated posts."
        )
    return frame


def split_report(frame: "pd.DataFrame") -> dict[str, Any]:
    """Class counts of each split, and how many ids and texts lie in more than one split."""
    counts = {
        name: {
            label: int(((frame[SPLIT_COLUMN] == name) & (frame[LABEL] == label)).sum()) for label in LABELS
        }
        for name in SPLITS
    }
    return {"counts": counts, "shared": shared_between_splits(frame)}


def leak_warning(report: Mapping[str, Any]) -> str | None:
    """One loud sentence when the splits share ids or texts, None when they do not."""
    shared = report["shared"]
    if not any(shared.values()):
        return None
    return f"LEAK: the splits share {_describe(shared)}; test figures will look better than they are."


def shared_between_splits(frame: "pd.DataFrame") -> dict[str, int]:
    """Number of distinct ids and of distinct texts that occur in more than one split."""
    return {"ids": _shared(frame, ID), "texts": _shared(frame, TEXT)}


def _in_order(pairs: "pd.DataFrame", order: "Mapping[str, np.ndarray]") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    frame = pairs.iloc[np.concatenate([order[name] for name in SPLITS])].reset_index(drop=True)
    names = np.repeat(SPLITS, [len(order[name]) for name in SPLITS])
    return frame.assign(**{SPLIT_COLUMN: pd.array(names, dtype="str")})


def _shared(frame: "pd.DataFrame", columns: tuple[str, str]) -> int:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    digests = pa.chunked_array([part for name in columns for part in _digests(frame[name])], pa.binary(16))
    split = pc.index_in(pa.array(frame[SPLIT_COLUMN]), pa.array(SPLITS)).to_numpy()
    table = pa.table({"value": digests, "split": np.tile(split, 2)})
    ranges = table.group_by("value").aggregate([("split", "min"), ("split", "max")])
    return int(pc.sum(pc.not_equal(ranges["split_min"], ranges["split_max"])).as_py() or 0)


def _digests(values: "pd.Series[str]") -> "Iterator[pa.Array]":
    """A 16-byte hash of each value, in parts: a few per cent of the memory that the values would take."""
    import pyarrow as pa

    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = values.iloc[start : start + _ROWS_AT_ONCE].tolist()
        yield pa.array(
            [hashlib.blake2b(value.encode(), digest_size=16).digest() for value in part], pa.binary(16)
        )


def _describe(shared: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {what}" for what, count in shared.items() if count)


def _stratified(pairs: "pd.DataFrame", config: Split, seed: int) -> "dict[str, np.ndarray]":
    import numpy as np
    from sklearn.model_selection import train_test_split

    labels = pairs[LABEL_INDEX_COLUMN].to_numpy()
    rows = np.arange(len(pairs))
    try:
        rest, test = train_test_split(
            rows, test_size=config.test_fraction, random_state=seed, stratify=labels
        )
        train, validation = train_test_split(
            rest, test_size=config.validation_fraction, random_state=seed, stratify=labels[rest]
        )
    except ValueError as error:
        counts = ", ".join(f"{label} {int((labels == i).sum())}" for i, label in enumerate(LABELS))
        raise DataError(
            f"The rows are too few to split by label ({counts}): {error} Add rows, raise split.test_fraction"
            " and split.validation_fraction, or use split.method=hash."
        ) from None
    return {"train": train, "validation": validation, "test": test}


def _hashed(pairs: "pd.DataFrame", config: Split) -> "dict[str, np.ndarray]":
    import numpy as np

    hashes = pair_hashes(pairs)
    position = np.fromiter((int(digest[:13], 16) / 16**13 for digest in hashes), np.float64, len(hashes))
    test = position < config.test_fraction
    rest_share = (position - config.test_fraction) / (1 - config.test_fraction)
    validation = ~test & (rest_share < config.validation_fraction)
    masks = {"train": ~test & ~validation, "validation": validation, "test": test}
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}
