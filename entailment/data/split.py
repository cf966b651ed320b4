"""Dividing pairs into train, validation and test, or into the folds of a cross-validation."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.split import Split
from entailment.data.pairs import pair_hashes
from entailment.errors import DataError
from entailment.task import ID, LABEL, LABEL_INDEX_COLUMN, SPLITS, TEXT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

SPLIT_COLUMN: Final = "split"
FOLD_COLUMN: Final = "fold"
UNDIVIDED: Final = "all"
"""The one split of records whose rows are chosen by number, as the folds' are."""
_ROWS_AT_ONCE: Final = 2**16
"""Rows of which Python objects are made at once."""


@dataclass(frozen=True)
class FoldRows:
    """What one fold of a cross-validation trains on, stops by and is judged on: row numbers, int64, ascending."""

    train: "np.ndarray"
    validation: "np.ndarray"
    test: "np.ndarray"


def split_pairs(pairs: "pd.DataFrame", config: Split, seed: int) -> "pd.DataFrame":
    """Adds the column `split` ("train", "validation" or "test"); rows of one split stay in the split's order.

    `stratified` makes the two calls of the Keras example: test from all rows, then validation from the rest,
    both stratified by label. `hash` looks at a pair's ids alone, so that growing data moves no row.

    Raises:
        DataError: a class has too few rows, a split would be empty, or ids or texts are shared between splits
            while `split.on_leak` is `error`.
    """
    frame = _in_order(pairs, _rows_by_split(pairs, config, seed))
    _check_leaks(frame, SPLIT_COLUMN, config)
    return frame


def fold_pairs(
    pairs: "pd.DataFrame", config: Split, folds: int, seed: int, *, without_test: bool = False
) -> "pd.DataFrame":
    """The pairs in file order with the columns `split` (always UNDIVIDED) and `fold` ("1" to `folds`).

    `without_test` leaves out the rows that `split_pairs` makes the test split: what a search may look at.

    Raises:
        DataError: what `fold_rows` raises, or ids or texts are shared between folds while `split.on_leak` is
            `error`; with `without_test` also what `split_pairs` raises.
    """
    import numpy as np
    import pandas as pd

    if without_test:
        order = _rows_by_split(pairs, config, seed)
        pairs = pairs.iloc[np.sort(np.concatenate([order["train"], order["validation"]]))]
    frame = pairs.reset_index(drop=True)
    number = np.empty(len(frame), np.int64)
    share = 0.0 if without_test else config.validation_fraction
    labels = frame[LABEL_INDEX_COLUMN].to_numpy()
    what = "rows outside the test split" if without_test else "rows"
    made = fold_rows(labels, folds, seed, share, names=_class_names(frame), rows=what)
    for fold, rows in enumerate(made, 1):
        number[rows.test] = fold
    columns = {SPLIT_COLUMN: np.repeat(UNDIVIDED, len(frame)), FOLD_COLUMN: number.astype(str)}
    frame = frame.assign(**{name: pd.array(values, dtype="str") for name, values in columns.items()})
    _check_leaks(frame, FOLD_COLUMN, config)
    return frame


def fold_rows(
    labels: "np.ndarray",
    folds: int,
    seed: int,
    validation_fraction: float = 0.0,
    *,
    names: Mapping[int, str] | None = None,
    rows: str = "rows",
) -> list[FoldRows]:
    """Stratified k-fold cross-validation: which rows each fold trains on, stops by and is judged on.

    The folds are those of scikit-learn's `StratifiedKFold(folds, shuffle=True, random_state=seed)` on the rows in
    file order, whatever `split.method` is: every row is judged once. `validation_fraction` of a fold's remaining
    rows, stratified by label with the same seed, are its validation rows, and the rest its training rows. With 0 the
    fold itself is its validation rows: for a search, which judges by them.

    Args:
        labels: class indices, int [n], in file order.
        names: what the classes are called, for an error.
        rows: and what the rows are.

    Raises:
        DataError: a class has fewer rows than there are folds, or too few for the validation share.
    """
    names = names or {index: f"class {index}" for index in range(int(labels.max(initial=0)) + 1)}
    try:
        return _folds(labels, folds, seed, validation_fraction, names)
    except DataError as error:
        told = f"The {rows} ({_counts(labels, names)}) are too few for {folds} folds: {error}"
    for fewer in range(folds - 1, 1, -1):
        try:
            _folds(labels, fewer, seed, validation_fraction, names)
        except DataError:
            continue
        raise DataError(
            f"{told} The largest number that works is {fewer}: give --folds {fewer}, or add rows."
        )
    share = f" with split.validation_fraction={validation_fraction}: raise it, or" * (validation_fraction > 0)
    raise DataError(f"{told} No number of folds works{share or ':'} add rows.")


def _folds(
    labels: "np.ndarray", folds: int, seed: int, validation_fraction: float, names: Mapping[int, str]
) -> list[FoldRows]:
    """As `fold_rows`. Raises DataError that says what is too few, not what to do."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    counts = {index: count for index, count in enumerate(np.bincount(labels)) if count}
    least = min(counts, key=lambda index: counts[index])
    if counts[least] < folds:
        raise DataError(f"every class needs {folds}, and {names[least]} has {counts[least]}.")
    made = []
    for rest, fold in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels):
        train, validation = rest, fold
        if validation_fraction:
            train, validation = _divided(rest, labels, validation_fraction, "validation", seed, names)
        made.append(FoldRows(np.sort(train), np.sort(validation), fold))
    return made


def _divided(
    rows: "np.ndarray", labels: "np.ndarray", fraction: float, part: str, seed: int, names: Mapping[int, str]
) -> "tuple[np.ndarray, np.ndarray]":
    """What is left of the rows, and a part of them, stratified by label. Raises DataError as `_folds`."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    counts = {index: count for index, count in enumerate(np.bincount(labels[rows])) if count}
    least, classes, taken = (
        min(counts, key=lambda index: counts[index]),
        len(counts),
        ceil(fraction * len(rows)),
    )
    share = f"split.{part}_fraction={fraction} makes {taken} of {len(rows)} rows {part} rows"
    if counts[least] < 2:
        raise DataError(f"{names[least]} has one row, which cannot be in both parts.")
    if taken < classes:
        raise DataError(
            f"{share}, fewer than the {classes} classes; it must be at least {ceil(100 * classes / len(rows)) / 100}."
        )
    if len(rows) - taken < classes:
        raise DataError(f"{share} and leaves fewer than the {classes} classes; it must be smaller.")
    rest, divided = train_test_split(rows, test_size=fraction, random_state=seed, stratify=labels[rows])
    return rest, divided


def split_report(frame: "pd.DataFrame", labels: Sequence[str], column: str = SPLIT_COLUMN) -> dict[str, Any]:
    """Class counts of each split, and how many ids and texts lie in more than one; of the folds by FOLD_COLUMN."""
    counts = {
        str(name): {label: int(((frame[column] == name) & (frame[LABEL] == label)).sum()) for label in labels}
        for name in (SPLITS if column == SPLIT_COLUMN else sorted(frame[column].unique(), key=int))
    }
    return {"counts": counts, "shared": shared_between_splits(frame, column)}


def check_classes(report: Mapping[str, Any], *, without_test: bool = False) -> None:
    """Raises DataError where `split_report`'s counts have no row of a class: in all, or to train on.

    `without_test`: the rows of the test split are not among them.
    """
    where = " outside the test split" if without_test else ""
    counts: Mapping[str, Mapping[str, int]] = report["counts"]
    for label in next(iter(counts.values())):
        total = sum(split[label] for split in counts.values())
        if not total:
            raise DataError(
                f"No row{where} has the label {label}: a model could not learn it. Add rows of it, or leave it out of"
                " task.labels."
            )
        if "train" in counts and not counts["train"][label]:
            raise DataError(
                f"The training split has none of the {total} row(s) of {label}: a model could not learn it. Add rows"
                " of it, or lower split.test_fraction and split.validation_fraction."
            )


def leak_warning(report: Mapping[str, Any]) -> str | None:
    """One loud sentence when the splits share ids or texts, None when they do not."""
    shared = report["shared"]
    if not any(shared.values()):
        return None
    return f"LEAK: the splits share {_describe(shared)}; test figures will look better than they are."


def shared_between_splits(frame: "pd.DataFrame", column: str = SPLIT_COLUMN) -> dict[str, int]:
    """Number of distinct ids and of distinct texts that occur under more than one value of `column`.

    An empty text, as of a table for a model that sees none, is no text.
    """
    return {"ids": _shared(frame, ID, column), "texts": _shared(frame, TEXT, column)}


def _check_leaks(frame: "pd.DataFrame", column: str, config: Split) -> None:
    if config.on_leak == "error" and any((leaks := shared_between_splits(frame, column)).values()):
        raise DataError(
            f"The {column}s share {_describe(leaks)} (split.on_leak is error). Remove the repeated posts."
        )


def _rows_by_split(pairs: "pd.DataFrame", config: Split, seed: int) -> "dict[str, np.ndarray]":
    order = _stratified(pairs, config, seed) if config.method == "stratified" else _hashed(pairs, config)
    for name in SPLITS:
        if len(order[name]) == 0:
            raise DataError(
                f"The {name} split would be empty: {len(pairs)} rows are too few for split.test_fraction="
                f"{config.test_fraction} and split.validation_fraction={config.validation_fraction}."
            )
    return order


def _in_order(pairs: "pd.DataFrame", order: "Mapping[str, np.ndarray]") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    frame = pairs.iloc[np.concatenate([order[name] for name in SPLITS])].reset_index(drop=True)
    names = np.repeat(SPLITS, [len(order[name]) for name in SPLITS])
    return frame.assign(**{SPLIT_COLUMN: pd.array(names, dtype="str")})


def _shared(frame: "pd.DataFrame", columns: tuple[str, str], by: str) -> int:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    digests = pa.chunked_array([part for name in columns for part in _digests(frame[name])], pa.binary(16))
    split, _ = pd.factorize(frame[by])
    table = pa.table({"value": digests, "split": np.tile(split, 2)})
    table = table.filter(pc.is_valid(table["value"]))
    ranges = table.group_by("value").aggregate([("split", "min"), ("split", "max")])
    return int(pc.sum(pc.not_equal(ranges["split_min"], ranges["split_max"])).as_py() or 0)


def _digests(values: "pd.Series[str]") -> "Iterator[pa.Array]":
    """A 16-byte hash of each value, null for an empty one, in parts: a few per cent of the memory of the values."""
    import pyarrow as pa

    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = values.iloc[start : start + _ROWS_AT_ONCE].tolist()
        yield pa.array(
            [hashlib.blake2b(value.encode(), digest_size=16).digest() if value else None for value in part],
            pa.binary(16),
        )


def _class_names(frame: "pd.DataFrame") -> dict[int, str]:
    """Of the classes that occur, by their indices."""
    named = frame.drop_duplicates(LABEL_INDEX_COLUMN).sort_values(LABEL_INDEX_COLUMN)
    return dict(zip(named[LABEL_INDEX_COLUMN].tolist(), named[LABEL].tolist(), strict=True))


def _counts(labels: "np.ndarray", names: Mapping[int, str]) -> str:
    """How many rows each class has, in the order of the indices."""
    return ", ".join(f"{name} {int((labels == index).sum())}" for index, name in names.items())


def _describe(shared: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {what}" for what, count in shared.items() if count)


def _stratified(pairs: "pd.DataFrame", config: Split, seed: int) -> "dict[str, np.ndarray]":
    import numpy as np

    labels, names = pairs[LABEL_INDEX_COLUMN].to_numpy(), _class_names(pairs)
    try:
        rest, test = _divided(np.arange(len(pairs)), labels, config.test_fraction, "test", seed, names)
        train, validation = _divided(rest, labels, config.validation_fraction, "validation", seed, names)
    except DataError as error:
        raise DataError(
            f"The rows ({_counts(labels, names)}) are too few to split by label: {error} Add rows, change that, or"
            " use split.method=hash."
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
