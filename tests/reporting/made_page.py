"""A page of made-up models: nothing is trained for it."""

import numpy as np

from entailment.evaluation.samples import Sample
from entailment.losses import LOSSES
from entailment.reporting.comparison_page import comparison_page
from entailment.reporting.interactive_page import Page
from entailment.reporting.shown_model import CURVES, ShownModel
from entailment.statistics.confusion import confusion_counts
from entailment.task import LABELS
from entailment.trials.comparison import best_two, comparison_table
from entailment.trials.disagreements import Disagreements, DisputedRow
from entailment.trials.variants import Variant

VARIANTS = [Variant(inputs, loss) for inputs in ("multimodal", "text", "image") for loss in LOSSES]
HOSTILE = (
    '</script><script>document.title = "taken"</script><img src=x onerror=alert(1)> "quotes" \'& \u2028 end'
)
SURE = 0.7


def made_page(rows: int = 140, seed: int = 0) -> Page:
    """Of nine variants, of which one failed; the first row on which the best two differ has hostile texts."""
    random = np.random.default_rng(seed)
    true = random.choice(3, rows, p=[0.15, 0.15, 0.7])
    answers, models = {}, []
    for number, variant in enumerate(VARIANTS):
        right = random.random((1, rows)) < 0.95 - 0.06 * number
        chosen = np.where(right, true, random.integers(0, 3, (1, rows)))
        answers[variant.name] = np.eye(3)[chosen] * (SURE - 0.15) + 0.15
        epochs = np.arange(1, 13)
        curves = {name: (number + 1) * 0.1 + 1 / epochs for name in CURVES}
        models.append(ShownModel(variant.name, curves, [9], confusion_counts(true, chosen[0], 3)))
    answers[VARIANTS[-1].name] = "seed 42: train_loss is inf <b>now</b>"
    options = {"majority": 2, "bootstrap_samples": 200, "confidence": 0.95, "seed": 1}
    table = comparison_table(true, answers, LABELS, **options)
    names = [variant.name for variant in VARIANTS]
    return comparison_page(
        table,
        VARIANTS,
        LABELS,
        0.95,
        generated=True,
        facts={"data set": 'made "up" <b>', "pairs": "1400", "seeds": "42", "MLflow run": "0123456789abcdef"},
        models=models[:-1],
        test_rows=rows,
        disagreements=_disagreements(true, answers, best_two(table, names), random),
        within={},
    )


def _disagreements(true, answers, best, random):
    chosen = {name: given[0].argmax(axis=1) for name, given in answers.items() if not isinstance(given, str)}
    names = list(chosen)
    pairs = {(a, b): chosen[a] != chosen[b] for at, a in enumerate(names) for b in names[at + 1 :]}
    image = random.integers(0, 255, (128, 128, 3), np.uint8)
    found = np.flatnonzero(np.any(list(pairs.values()), axis=0))
    shown = sorted(found, key=lambda row: chosen[best[0]][row] == chosen[best[1]][row])[:100]
    rows = [
        DisputedRow(
            int(row),
            Sample(
                (f"{row}1", f"{row}2"), HOSTILE if row == shown[0] else f"The bridge {row} opened.", image,
                "" if row % 5 == 0 else "The bridge is closed. " * 4, None if row % 3 == 0 else image,
                LABELS[true[row]], None, None,
            ),
            {name: (LABELS[given[row]], SURE) for name, given in chosen.items()},
        )
        for row in shown
    ]  # fmt: skip
    return Disagreements(rows, len(found), {pair: int(differing.sum()) for pair, differing in pairs.items()})
