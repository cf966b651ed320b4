"""Parts of a split that a model may be worse on than the whole: each a named function of the pairs.

A slice is a function from a frame of pairs to a bool mask over its rows. The frame has the columns text_1, text_2,
image_1, image_2 (URLs; all str, empty where there is none) and image_present_1, image_present_2 (bool: whether the
model saw that image). A new slice is a new function in SLICES, with what the tables say of it in _WHAT.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from entailment.data.split import SPLIT_COLUMN
from entailment.records.index import RecordsIndex, pairs_in_order
from entailment.statistics.confusion import confusion_counts, scores
from entailment.statistics.intervals import macro_f1_interval
from entailment.task import ID, IMAGE_URL, TEXT

if TYPE_CHECKING:
    import pandas as pd

IMAGE_PRESENT: Final = ("image_present_1", "image_present_2")
FEWEST_ROWS: Final = 10
"""A slice with fewer rows shows their number and no figure."""
_LINK: Final = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_WORD: Final = re.compile(r"\w+")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_SHORT: Final = 8
_NEAR, _FAR = 0.8, 0.1


def has_url(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """A text of the pair holds a link."""
    return _either(pairs, lambda text: bool(_LINK.search(text)))


def near_identical_texts(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """The two texts share at least 80 % of their distinct words."""
    return _resemblance(pairs) >= _NEAR


def dissimilar_texts(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """Both texts have words, and share fewer than 10 % of them."""
    return _resemblance(pairs) < _FAR


def different_numbers(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """Each text names a number that the other does not."""
    found = [[set(_NUMBER.findall(_without_links(text))) for text in pairs[name]] for name in TEXT]
    return np.array([bool(a - b) and bool(b - a) for a, b in zip(*found, strict=True)], bool)


def short_text(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """A text of the pair has fewer than 8 words, links not counted."""
    return _either(pairs, lambda text: len(_WORD.findall(_without_links(text))) < _SHORT)


def image_missing(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """The model did not see both images."""
    first, second = (pairs[name].to_numpy(bool) for name in IMAGE_PRESENT)
    missing: NDArray[np.bool_] = np.logical_not(first & second)
    return missing


def same_image_domain(pairs: "pd.DataFrame") -> NDArray[np.bool_]:
    """Both image URLs name the same host."""
    hosts = [[_host(url) for url in pairs[name]] for name in IMAGE_URL]
    return np.array([a == b != "" for a, b in zip(*hosts, strict=True)], bool)


SliceFunction = Callable[["pd.DataFrame"], NDArray[np.bool_]]

SLICES: Final[Mapping[str, SliceFunction]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            has_url,
            near_identical_texts,
            dissimilar_texts,
            different_numbers,
            short_text,
            image_missing,
            same_image_domain,
        )
    }
)
"""Every slice by its name."""
_EVERY: Final = "all"
_WHAT: Final = MappingProxyType(
    {
        _EVERY: "Every row.",
        "has_url": "A text of the pair holds a link.",
        "near_identical_texts": "The two texts share at least 80 % of their distinct words.",
        "dissimilar_texts": "Both texts have words, and share fewer than 10 % of them.",
        "different_numbers": "Each text names a number that the other does not.",
        "short_text": "A text of the pair has fewer than 8 words, links not counted.",
        "image_missing": "The model did not see both images.",
        "same_image_domain": "Both image URLs name the same host.",
    }
)
"""What the tables say of each; a docstring could change without its step running again."""


def slice_columns(labels: Sequence[str]) -> list[str]:
    """The columns of a slice table."""
    intervals = ["macro_f1_low", "macro_f1_high"]
    figures = ["accuracy", "macro_f1", *intervals, "majority_accuracy", "what"]
    return ["slice", "rows", *(f"rows_{label}" for label in labels), *figures]


def evaluated_pairs(index: RecordsIndex, splits: "pd.DataFrame") -> "pd.DataFrame":
    """The frame that slices take, a row for each of the index, in its order.

    `splits` are the pairs with their texts, image URLs and the column `split`. Raises ValueError when it lacks a pair
    of the index.
    """
    known = splits.loc[splits[SPLIT_COLUMN] == "test", [*ID, *TEXT, *IMAGE_URL]]
    pairs = pairs_in_order(index.ids, known)
    keys = index.keys.get("image", np.zeros((len(index), 2), "S16"))
    present = {name: keys[:, side] != b"" for side, name in enumerate(IMAGE_PRESENT)}
    return pairs[[*TEXT, *IMAGE_URL]].assign(**present)


def slice_table(
    pairs: "pd.DataFrame",
    true: NDArray[Any],
    predicted: NDArray[Any],
    labels: Sequence[str],
    *,
    majority: int,
    bootstrap_samples: int,
    confidence: float,
    seed: int,
) -> "pd.DataFrame":
    """Figures of the whole split and of each slice, a row each, columns `slice_columns`.

    `pairs`: as slices take them, n rows; `true` and `predicted`: class indices, int [n]; `labels`: the names of
    the classes; `majority`: the most frequent class of the training rows. Below FEWEST_ROWS rows the figures are NaN.
    Macro-F1 is over all classes here too: in a slice that lacks one it cannot reach 1, as the counts by class show.
    """
    import pandas as pd

    resampling: dict[str, Any] = {
        "bootstrap_samples": bootstrap_samples,
        "confidence": confidence,
        "seed": seed,
    }
    rows = []
    masks = {_EVERY: np.ones(len(pairs), bool)}
    masks |= {name: function(pairs) for name, function in SLICES.items()}
    for name, mask in masks.items():
        inside, answered = np.asarray(true)[mask], np.asarray(predicted)[mask]
        counts = confusion_counts(inside, answered, len(labels))
        row: dict[str, Any] = {"slice": name, "rows": int(mask.sum()), "what": _WHAT[name]}
        row |= {f"rows_{label}": int(n) for label, n in zip(labels, counts.sum(axis=1), strict=True)}
        if row["rows"] >= FEWEST_ROWS:
            low, high = macro_f1_interval(inside, answered[None], len(labels), **resampling)
            row |= {name: float(scores(counts)[name]) for name in ("accuracy", "macro_f1")}
            row |= {"macro_f1_low": low, "macro_f1_high": high}
            row["majority_accuracy"] = float(counts[majority].sum() / counts.sum())
        rows.append(row)
    return pd.DataFrame(rows, columns=slice_columns(labels))


def _either(pairs: "pd.DataFrame", holds: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Where `holds` is true of one of the texts."""
    return np.array(
        [any(map(holds, both)) for both in zip(*(pairs[name] for name in TEXT), strict=True)], bool
    )


def _resemblance(pairs: "pd.DataFrame") -> NDArray[np.float64]:
    """Shared share of the two texts' distinct words (Broder, On the resemblance of documents, 1997).

    Links and capitals do not count; NaN, which is neither near nor far, where a text has no words.
    """
    words = [[set(_WORD.findall(_without_links(text).lower())) for text in pairs[name]] for name in TEXT]
    return np.array(
        [len(a & b) / len(a | b) if a and b else np.nan for a, b in zip(*words, strict=True)], np.float64
    )


def _without_links(text: str) -> str:
    return _LINK.sub(" ", html.unescape(text))


def _host(url: str) -> str:
    """The host of a URL in small letters, "" where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # as for "http://["
        return ""
