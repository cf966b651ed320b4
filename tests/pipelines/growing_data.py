"""Rows that a tiny model learns, more with more of them, and settings under which the gate sees that."""

import random
from pathlib import Path

from entailment.task import LABELS, PAIR_COLUMNS

SETTINGS = """
inputs: text
dataset: {{source: grown}}
split: {{test_fraction: 0.3, validation_fraction: 0.2}}
encoders: {{text: {{encoder: {text}, preprocessor: {preprocessor}, sequence_length: 16}}}}
head: {{projection_units: 32}}
training: {{epochs: 60, patience: 0}}
evaluation: {{bootstrap_samples: 200, sample_rows: 1}}
promotion: {{min_rows: 10, confidence: 0.6, max_loss: 0.5, max_ece: 0.6}}
drift: {{min_rows: 20}}
"""
WORDS = ("harbour", "bridge", "market", "river", "tower", "garden", "train", "school", "museum", "street")


def write_rows(path: Path, start: int, count: int, shuffled: bool = False) -> str:
    """Pairs whose second text is the first one (Implies), another (NoEntailment) or the first one with a "not"."""
    import pandas as pd

    chance = random.Random(start)
    rows = []
    for number in range(start, start + count):
        text = " ".join([*chance.sample(WORDS, 4), str(number)])
        other = " ".join([*chance.sample(WORDS, 4), str(number + 5000)])
        label = LABELS[number % 3]
        second = {"Implies": f"{text} .", "Contradictory": f"not not {text}", "NoEntailment": other}[label]
        shown = chance.choice(LABELS) if shuffled else label
        rows.append((f"a{number}", text, "", f"b{number}", second, "", shown))
    pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).to_csv(path, index=False)
    return str(path)
