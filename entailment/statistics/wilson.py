"""Wilson's interval of a share (Probable inference, the law of succession, and statistical inference, 1927)."""

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray


def wilson(hits: Any, rows: Any, confidence: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of Wilson's interval of a share, from how many of the rows are hits; 0 and 1 where there is no row.

    `hits` and `rows`: numbers or arrays of them, of one shape. Raises ValueError unless `confidence` lies between 0
    and 1.

    >>> [round(float(end), 3) for end in wilson(8, 10, 0.95)]
    [0.49, 0.943]
    """
    hits, rows = np.asarray(hits, np.float64), np.asarray(rows, np.float64)
    z = NormalDist().inv_cdf(1 - tail_of(confidence))
    share = hits / np.maximum(rows, 1)
    middle = (hits + z**2 / 2) / (rows + z**2)
    reach = z * np.sqrt(share * (rows - hits) + z**2 / 4) / (rows + z**2)
    # Rounding may leave 0 or 1 out by the last bit.
    some = rows > 0
    low = np.clip(middle - reach, 0, np.where(some, share, 1))
    return low, np.clip(middle + reach, np.where(some, share, 0), 1)


def tail_of(confidence: float) -> float:
    """What is left out on either side at this level; raises ValueError unless it lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1. Received: {confidence}")
    return (1 - confidence) / 2
