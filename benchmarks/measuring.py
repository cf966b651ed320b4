"""How the benchmarks measure: sides take turns within one run, medians count, the last line is one JSON object.

A virtual machine's speed changes from minute to minute; sides that take turns see the same minutes, so that their
ratio says something where a time alone does not.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

PRODUCT_SIDE = 2048


def alternate(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call by side: `rounds` times every side once, the first one last in every other round.

    Each side is called once before, untimed.
    """
    for call in sides.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], ours: str, theirs: str) -> float:
    """How many times as fast `ours` is: the median over the rounds of the two sides' ratio in one round."""
    pairs = zip(seconds[theirs], seconds[ours], strict=True)
    return statistics.median(their / our for their, our in pairs)


def matmul_peak(products: int = 5) -> float:
    """GFLOP/s of the fastest of some float32 matrix products, TensorFlow, all cores (or the GPU)."""
    import tensorflow as tf

    matrix = tf.constant(np.random.default_rng(0).random((PRODUCT_SIDE, PRODUCT_SIDE), np.float32))
    fastest = float("inf")
    for _ in range(products):
        start = time.perf_counter()
        tf.matmul(matrix, matrix)[0, 0].numpy()  # a number fetched: a GPU's answer is awaited
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * PRODUCT_SIDE**3 / fastest / 1e9


def finish(name: str, ratio: float, sides: Mapping[str, float], unit: str) -> None:
    """Prints the last line: the benchmark's name, the ratio and both sides, the first one ours."""
    listed = [{"name": side, "value": round(value, 3), "unit": unit} for side, value in sides.items()]
    print(json.dumps({"name": name, "ratio": round(ratio, 3), "sides": listed}), flush=True)
