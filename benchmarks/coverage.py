"""Counts how often the intervals hold what they are about, beside the plain percentile bootstrap.

`python benchmarks/coverage.py` draws test splits from populations whose figures are known: class shares like those
of the real tweets, a weak and a strong model, class counts that are drawn or fixed (a stratified split). A table says
for each figure and setting how many of the 95 % intervals hold the population's figure, and how wide they are on
average: `now` as the program makes them, `plain` the percentile interval of resampled rows. `difference` is that of
two models' macro-F1, paired. Of figures by class the table shows the class that is covered least.

\b
Example:
    python benchmarks/coverage.py --rows 63 --rows 1000 --simulations 2000
"""

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from benchmarks.measuring import finish
from benchmarks.simulation import SHARES, SIGNALS, drawn_answers, drawn_labels, in_processes, with_recall
from entailment.progress import progress_bar
from entailment.statistics.confusion import confusion_counts, scores
from entailment.statistics.intervals import class_intervals, macro_f1_interval, paired_differences
from entailment.statistics.wilson import wilson

CONFIDENCE = 0.95
RESAMPLES = 500
"""Behind each interval, on both sides."""
ALIKE = 0.5
"""Share of rows in which the two models of a difference answer alike."""
LOSS = 0.1
"""Recall of each rare class that the second of them lacks."""
BY_CLASS = ("f1", "recall", "precision")
FIGURES = ("macro_f1", "difference", "accuracy", *BY_CLASS)
SIDES = ("now", "plain")

Setting = tuple[str, str, str, int]
"""Shares, signal, counts and rows."""
Intervals = dict[str, np.ndarray]
"""By figure [2] or [2, classes]: the ends."""


def intervals_now(labels: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int) -> Intervals:
    """What the program says."""
    resampling = {"bootstrap_samples": RESAMPLES, "confidence": CONFIDENCE, "seed": seed}
    counts = confusion_counts(labels, first, 3)
    difference = paired_differences(labels, first[None], second[None], 3, **resampling)["macro_f1"]
    return {
        "macro_f1": np.array(macro_f1_interval(labels, first[None], 3, **resampling)),
        "difference": np.array(difference[1:]),
        "accuracy": np.array(wilson(np.trace(counts), len(labels), CONFIDENCE)),
    } | {name: np.array(ends) for name, ends in class_intervals(counts, CONFIDENCE).items()}


def plain_intervals(labels: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int) -> Intervals:
    """Percentile intervals of rows drawn with replacement; a ratio without a denominator is 0."""
    cells = np.bincount(labels * 9 + first * 3 + second, minlength=27)
    drawn = np.random.default_rng(seed).multinomial(len(labels), cells / len(labels), size=RESAMPLES)
    both = drawn.reshape(-1, 3, 3, 3)
    figures = scores(both.sum(axis=3))
    figures["difference"] = figures["macro_f1"] - scores(both.sum(axis=2))["macro_f1"]
    ends = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return {name: np.quantile(figures[name], ends, axis=0) for name in FIGURES}


def measured(task: tuple[Setting, int]) -> dict[str, dict[str, np.ndarray]]:
    """By side and figure [2, ...]: share of the intervals that hold the population's figure, and mean width."""
    (shares, signal, counts, rows), simulations = task
    confusion, lesser = SIGNALS[signal], with_recall(SIGNALS[signal], -LOSS, -LOSS)
    # Shares in place of counts: large enough that no denominator is taken for 0.
    population, other = (scores(SHARES[shares][:, None] * part * 1e9) for part in (confusion, lesser))
    population["difference"] = population["macro_f1"] - other["macro_f1"]
    sums = {side: {name: np.zeros((2, *np.shape(population[name]))) for name in FIGURES} for side in SIDES}
    random = np.random.default_rng(list(map(ord, "".join(map(str, (shares, signal, counts, rows))))))
    for seed in range(simulations):
        labels = drawn_labels(random, rows, SHARES[shares], counts)
        first, second = drawn_answers(random, labels, confusion, lesser, alike=ALIKE)
        for side, intervals in zip(SIDES, (intervals_now, plain_intervals), strict=True):
            for name, (low, high) in intervals(labels, first, second, seed).items():
                holds = (low <= population[name]) & (population[name] <= high)
                sums[side][name] += holds, high - low
    return {side: {name: total / simulations for name, total in own.items()} for side, own in sums.items()}


def least_covered(coverage_and_width: np.ndarray) -> tuple[float, float]:
    """Of the class that is covered least."""
    coverage, width = coverage_and_width.reshape(2, -1)
    return float(coverage.min()), float(width[coverage.argmin()])


@click.command(help=__doc__, context_settings={"max_content_width": 118})
@click.option(
    "--rows", multiple=True, type=click.IntRange(10), default=(63, 126, 300, 1000), show_default=True
)
@click.option(
    "--simulations", type=click.IntRange(1), default=300, show_default=True, help="Of each setting."
)
def main(rows: tuple[int, ...], simulations: int) -> None:
    """Simulates and prints everything."""
    settings = list(itertools.product(SHARES, SIGNALS, ("drawn", "fixed"), rows))
    results = {}
    with progress_bar(len(settings), unit="setting", what="settings") as bar:
        for setting, result in zip(
            settings, in_processes(measured, [(setting, simulations) for setting in settings]), strict=True
        ):
            results[setting] = result
            bar.update()
    print(f"{CONFIDENCE:.0%} intervals, {simulations} simulations of each setting, {RESAMPLES} resamples")
    print(
        f"{'figure':<11} {'shares':<13} {'signal':<7} {'counts':<7} {'rows':>6}   now: held width   plain: held width"
    )
    for name, (setting, result) in itertools.product(FIGURES, results.items()):
        (now, now_width), (plain, plain_width) = (least_covered(result[side][name]) for side in SIDES)
        shares, signal, counts, number = setting
        print(
            f"{name:<11} {shares:<13} {signal:<7} {counts:<7} {number:>6}"
            f"        {now:6.1%} {now_width:.3f}          {plain:6.1%} {plain_width:.3f}"
        )
    print("\nover all settings with so many rows, lowest to highest")
    for name, number in itertools.product(FIGURES, rows):
        held = {
            side: [least_covered(r[side][name])[0] for s, r in results.items() if s[-1] == number]
            for side in SIDES
        }
        print(
            f"{name:<11} {number:>6}   now {min(held['now']):6.1%} to {max(held['now']):6.1%}"
            f"   plain {min(held['plain']):6.1%} to {max(held['plain']):6.1%}"
        )
    now, plain = (
        100 * min(float(result[side]["macro_f1"][0]) for result in results.values()) for side in SIDES
    )
    finish("coverage", now / plain, {"intervals now": now, "percentile bootstrap": plain}, "% held, at least")


if __name__ == "__main__":
    main()
