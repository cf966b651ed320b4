"""What bfloat16 gains and costs: speed, features and macro-F1 against float32, with the default encoders and head.

`python benchmarks/precision.py` takes texts and images of the generated sample, `--texts FILE.csv` the texts of
another table of pairs. It prints the cosine of each feature with its float32 one, the speed of both formats in turns,
and the macro-F1 of 5-fold cross-validation on the features of either.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from benchmarks.measuring import alternate, finish, ratio
from entailment.configuration import Configuration
from entailment.data.schema import ID, LABEL_INDEX_COLUMN, TEXT
from entailment.home import home
from entailment.model.featurizer import SplitFeatures

FOLDS: Final = 5
TIMED: Final = 600
"""Texts, and images, that are encoded in each round of the comparison of speed."""
FORMATS: Final = ("float32", "bfloat16")


def read(csv: Path | None, config: Configuration) -> tuple[Any, dict[str, list[Any]]]:
    """The table, and by name of the head's input what is encoded for each row; images only of the sample."""
    from entailment.data.images import decode_images
    from entailment.data.pairs import read_pairs
    from entailment.data.sample import write_sample

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "sample"
        if csv is None:
            write_sample(folder, pairs=config.dataset.sample_pairs)
        frame = read_pairs(csv or folder / "pairs.csv", max_text_bytes=config.ingest.max_text_bytes)
        inputs = {f"text_{side}": list(frame[column]) for side, column in enumerate(TEXT, 1)}
        if csv is None:
            files = {path.stem: path for path in (folder / "images").iterdir()}
            for side, column in enumerate(ID, 1):
                data = [files[name].read_bytes() for name in frame[column]]
                pixels, _ = decode_images(data, config.images.size, config.images.max_pixels)
                inputs[f"image_{side}"] = list(pixels)
    return frame, inputs


def features(
    frame: Any, inputs: dict[str, list[Any]], encode: dict[str, Callable[..., Any]]
) -> SplitFeatures:
    """What the head sees of every row; an absent text is zero."""
    columns: dict[str, np.ndarray] = {}
    for name, values in inputs.items():
        present = np.array([not isinstance(value, str) or value != "" for value in values])
        vectors = encode[name.partition("_")[0]](values)
        columns[name] = np.where(present[:, None], vectors, np.float32(0))
        columns[f"{name}_present"] = present.astype(np.float32)[:, None]
    return SplitFeatures(columns, frame[LABEL_INDEX_COLUMN].to_numpy(np.int64), frame[list(ID)])


def crossval(whole: SplitFeatures, config: Configuration) -> list[float]:
    """Macro-F1 of each fold."""
    from sklearn.model_selection import StratifiedKFold, train_test_split

    from entailment.evaluation.metrics import macro_f1
    from entailment.model.training import predict, train_head

    scores, labels = [], whole.labels
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=config.seed)
    for rest, held_out in folds.split(labels, labels):
        kept = train_test_split(
            rest,
            test_size=config.split.validation_fraction,
            stratify=labels[rest],
            random_state=config.seed,
        )
        train, validation, test = (
            SplitFeatures(whole.take(rows), labels[rows], whole.ids.iloc[rows]) for rows in (*kept, held_out)
        )
        model = train_head(train, validation, config.head, config.training, config.seed).model
        scores.append(macro_f1(test.labels, predict(model, test).argmax(axis=1)))
    return scores


@click.command(help=__doc__)
@click.option("--texts", "csv", type=click.Path(path_type=Path, exists=True), help="A table of pairs.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
def main(csv: Path | None, rounds: int) -> None:
    """Runs everything and prints the table."""
    from entailment.encoders.image import ImageEncoder
    from entailment.encoders.text import TextEncoder

    config, encoders = Configuration(), home() / "encoders"
    text = config.encoders.text
    frame, inputs = read(csv, config)
    encode: dict[str, dict[str, Callable[..., Any]]] = {}
    for format in FORMATS:
        texts = TextEncoder(
            text.encoder, text.preprocessor, encoders, text.sequence_length, text.output, format
        )
        encode[format] = {"text": texts.encode}
        if csv is None:
            images = ImageEncoder(config.encoders.image.encoder, encoders, config.images.size, format)
            encode[format]["image"] = lambda values, images=images: images.encode(np.stack(values))

    where = csv.name if csv else "the generated sample"
    print(f"{len(frame)} pairs of {where}; {FORMATS[1]} against {FORMATS[0]}")
    whole = {format: features(frame, inputs, encode[format]) for format in FORMATS}
    rates: dict[str, tuple[float, dict[str, float]]] = {}
    for kind in encode["float32"]:
        first, second = (np.concatenate([whole[f].inputs[f"{kind}_{n}"][:] for n in (1, 2)]) for f in FORMATS)
        present = first.any(axis=1)
        first, second = first[present], second[present]
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        cosine = (first * second).sum(axis=1) / norms
        values = inputs[f"{kind}_1"][:TIMED]
        seconds = alternate({f: partial(encode[f][kind], values) for f in FORMATS}, rounds)
        faster = ratio(seconds, FORMATS[1], FORMATS[0])
        rates[kind] = faster, {f: len(values) / median(seconds[f]) for f in reversed(FORMATS)}
        print(f"{kind}: {faster:.2f} x as fast; cosine at least {cosine.min():.5f}, mean {cosine.mean():.5f}")
    for format in FORMATS:
        scores = crossval(whole[format], config)
        print(f"macro-F1 of {FOLDS} folds, {format}: {np.mean(scores):.3f} +- {np.std(scores):.3f}")
    faster, sides = rates["text"]
    finish("precision", faster, sides, "texts/s")


if __name__ == "__main__":
    main()
