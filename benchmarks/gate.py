"""Counts how often the promotion gate promotes challengers whose worth is known.

`python benchmarks/gate.py` draws test splits with the class shares of the real tweets, and answers of a champion and
of challengers: equal ones, better ones, ones that do harm. The real gate judges them with its default settings. The
table says how many are promoted by `better` alone, when the classes count too, when the slices do, and by all
conditions. The two models answer each by itself (nothing in common but the label, the hardest case) or alike in half
of the rows, as models do that have most of their training rows in common.

\b
Example:
    python benchmarks/gate.py --rows 500 --simulations 2000
"""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from benchmarks.measuring import finish
from benchmarks.simulation import SHARES, drawn_answers, drawn_labels, in_processes, with_recall
from entailment.configuration.promotion import Promotion
from entailment.progress import progress_bar
from entailment.promotion.gate import Decision, Evidence, decide
from entailment.task import LABELS

CHAMPION = np.array([[0.50, 0.08, 0.42], [0.08, 0.50, 0.42], [0.025, 0.025, 0.95]])
"""What it answers (columns) to rows of each class: macro-F1 0.67 with these shares."""
WORDS = np.array([[0.40, 0.02, 0.58], [0.02, 0.12, 0.86], [0.008, 0.012, 0.98]])
"""What words alone answer, each row by itself: macro-F1 0.55 and accuracy 0.87 with these shares."""
SURE = 0.9
"""The probability that each model gives its answer."""
SLICES = {"tenth": 0.1, "fifth": 0.2, "half": 0.5}
"""The share of the rows that each slice has, drawn."""
HARMED = "fifth"
RESAMPLES = 500
CONDITIONS = (
    *(("better", ("better",)), ("and classes", ("better", "classes"))),
    *(("and slices", ("better", "classes", "slices")), ("all", None)),
)
"""Which conditions count, the ones of the decision by their names; None: all that there are."""


@dataclass(frozen=True)
class Challenger:
    """What it has more than the champion: recall of the two rare classes, everywhere and in the slice HARMED."""

    recall: tuple[float, float]
    in_slice: tuple[float, float] | None = None


CHALLENGERS = {
    "equal": Challenger((0, 0)),
    "+5 points of recall on both rare classes": Challenger((0.05, 0.05)),
    "+10 points on both": Challenger((0.10, 0.10)),
    "+20 points on both": Challenger((0.20, 0.20)),
    "-10 points on both": Challenger((-0.10, -0.10)),
    "+30 points on one, -30 on the other": Challenger((0.30, -0.30)),
    "+40 points on one, -20 on the other": Challenger((0.40, -0.20)),
    "+20 points on both, -40 in a fifth of the rows": Challenger((0.20, 0.20), (-0.40, -0.40)),
}


def judged(
    random: np.random.Generator, rows: int, challenger: Challenger, alike: float, config: Promotion
) -> Decision:
    """What the gate says of one drawn test split."""
    labels = drawn_labels(random, rows, SHARES["7.8/7.8/84.4"])
    slices = {name: random.random(rows) < share for name, share in SLICES.items()}
    everywhere, inside = (
        with_recall(CHAMPION, *recall)
        for recall in (challenger.recall, challenger.in_slice or challenger.recall)
    )
    champion, own, within = drawn_answers(random, labels, CHAMPION, everywhere, inside, alike=alike)
    own = np.where(slices[HARMED], within, own)
    # A stream of its own: the others' draws are the same with and without it.
    (words,) = drawn_answers(random.spawn(1)[0], labels, WORDS, alike=0.0)
    unsure = (1 - SURE) / (len(LABELS) - 1)
    probabilities = [np.where(np.eye(len(LABELS))[answers] == 1, SURE, unsure) for answers in (own, champion)]
    evidence = Evidence(
        labels=labels,
        challenger=probabilities[0],
        classes=LABELS,
        majority=2,
        champion_version="1",
        champion=probabilities[1],
        unseen=np.ones(rows, bool),
        slices=slices,
        words=words,
    )
    return decide(evidence, config, bootstrap_samples=RESAMPLES, seed=int(random.integers(2**31)))


def promoted(task: tuple[tuple[str, float], int, int, Promotion]) -> list[float]:
    """The share that is promoted when the conditions count that CONDITIONS names, in their order."""
    (name, alike), rows, simulations, config = task
    random = np.random.default_rng([*map(ord, name), int(100 * alike)])
    passed = np.zeros(len(CONDITIONS))
    for _ in range(simulations):
        reasons = judged(random, rows, CHALLENGERS[name], alike, config).reasons
        passed += [
            all(reason.passed for reason in reasons if names is None or reason.name in names)
            for _, names in CONDITIONS
        ]
    return (passed / simulations).tolist()


@click.command(help=__doc__)
@click.option("--rows", type=click.IntRange(50), default=500, show_default=True, help="Of a test split.")
@click.option(
    "--simulations", type=click.IntRange(1), default=300, show_default=True, help="Of each challenger."
)
@click.option(
    "--confidence", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=Promotion().confidence
)
@click.option("--max-loss", type=click.FloatRange(0, 1), default=Promotion().max_loss, show_default=True)
@click.option(
    "--baseline", type=click.Choice(["majority", "words"]), default="majority", help="What the gate demands."
)
def main(rows: int, simulations: int, confidence: float, max_loss: float, baseline: str) -> None:
    """Simulates and prints everything."""
    config = Promotion.model_validate({"confidence": confidence, "max_loss": max_loss, "baseline": baseline})
    settings = list(itertools.product(CHALLENGERS, (0.0, 0.5)))
    shares = {}
    with progress_bar(len(settings), unit="setting", what="settings") as bar:
        tasks = [(setting, rows, simulations, config) for setting in settings]
        for setting, found in zip(settings, in_processes(promoted, tasks), strict=True):
            shares[setting] = found
            bar.update()
    print(
        f"share promoted, {rows} test rows, {simulations} simulations of each, {confidence:.0%} intervals,"
        f" max_loss {max_loss}, baseline {baseline}"
    )
    print(f"{'challenger':<48} {'alike':>5} " + " ".join(f"{name:>12}" for name, _ in CONDITIONS))
    for (name, alike), found in shares.items():
        print(f"{name:<48} {alike:>5.0%} " + " ".join(f"{share:>12.1%}" for share in found))
    better, equal = (shares[name, 0.0][-1] for name in ("+20 points on both", "equal"))
    finish(
        "gate",
        better / max(equal, 1 / simulations),
        {"+20 points": 100 * better, "equal": 100 * equal},
        "% promoted",
    )


if __name__ == "__main__":
    main()
