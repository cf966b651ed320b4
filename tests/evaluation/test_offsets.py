import numpy as np

from entailment.evaluation.metrics import macro_f1
from entailment.evaluation.offsets import GRID, fit_offsets


def rare_classes(rows=600, seed=0):
    """Logits that always favour the last class, though they rank the rare ones well."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, rows, p=[0.1, 0.1, 0.8])
    logits = generator.normal(0, 0.5, (rows, 3)) + np.eye(3)[labels] * 1.5
    logits[:, 2] += 3
    return logits, labels


def test_offsets_raise_macro_f1_and_hold_on_other_rows():
    logits, labels = rare_classes()
    offsets = fit_offsets(logits, labels)
    assert offsets[2] == 0 and (offsets[:2] > 1).all()
    other, truth = rare_classes(seed=1)
    assert macro_f1(truth, (other + offsets).argmax(axis=1)) > macro_f1(truth, other.argmax(axis=1)) + 0.2


def test_the_more_accuracy_counts_the_fewer_rare_answers():
    generator = np.random.default_rng(3)
    labels = generator.choice(3, 500, p=[0.1, 0.1, 0.8])
    logits = generator.normal(0, 1, (500, 3)) + np.eye(3)[labels] + [0, 0, 2]
    rare = [
        int(((logits + fit_offsets(logits, labels, weight)).argmax(axis=1) != 2).sum())
        for weight in (0, 1, 100)
    ]
    assert rare[0] > rare[1] >= rare[2]


def test_the_most_frequent_class_is_left_alone_whichever_it_is():
    logits, labels = rare_classes()
    offsets = fit_offsets(logits[:, ::-1], 2 - labels)
    assert offsets[0] == 0
    np.testing.assert_allclose(offsets[::-1], fit_offsets(logits, labels), atol=1e-6)
    assert set(offsets.tolist()) <= {0.0, *GRID.astype(np.float32).tolist()}
