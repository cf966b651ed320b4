"""Shows what the generated sample data is worth: both modalities beat either one, and the images matter.

`python benchmarks/sample_data.py` prints the macro-F1 of 5-fold cross-validation with texts only, images only,
both, and both with the test images shuffled among the rows; the last line is one JSON object. The encoders and
the head are those of the default configuration.
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from entailment.configuration.configuration import Configuration
from entailment.model.features import SplitFeatures
from entailment.statistics.confusion import macro_f1
from entailment.task import ID, LABEL_INDEX_COLUMN, TEXT

FOLDS = 5
VARIANTS = {"text": "text", "image": "image", "multimodal": ("text", "image")}
"""By name the beginnings of the head's inputs that it sees."""
SHUFFLED = "multimodal, images shuffled"


def features(folder: Path, config: Configuration) -> SplitFeatures:
    """Generates the sample data below `folder` and encodes it."""
    from entailment.data.images import decode_images
    from entailment.data.pairs import read_pairs
    from entailment.data.sample import write_sample
    from entailment.model.features import configured_featurizer
    from entailment.records.reading import Row
    from entailment.workspace import workspace

    write_sample(folder, pairs=config.dataset.sample_pairs)
    frame = read_pairs(folder / "pairs.csv", config.task, max_text_bytes=config.ingest.max_text_bytes)
    files = {path.stem: path for path in (folder / "images").iterdir()}
    first, second = (
        decode_images(
            [files[name].read_bytes() for name in frame[column]],
            config.images.size,
            config.images.max_pixels,
            config.images.max_decoded_bytes,
        )[0]
        for column in ID
    )
    ids = list(zip(*(frame[column] for column in ID), strict=True))
    texts = zip(*(frame[column] for column in TEXT), strict=True)
    labels = frame[LABEL_INDEX_COLUMN].to_numpy(np.int64)
    images = zip(first, second, strict=True)
    rows = [
        Row(pair, {"text": said, "image": shown}, label)
        for pair, said, shown, label in zip(ids, texts, images, labels, strict=True)
    ]
    featurizer = configured_featurizer(config, workspace().encoders, None)
    return SplitFeatures(featurizer.rows(rows), labels, frame[list(ID)])


def part(whole: SplitFeatures, rows: np.ndarray, begins: str | tuple[str, ...]) -> SplitFeatures:
    """Some rows with the inputs whose names begin so."""
    inputs = {name: array[rows] for name, array in whole.inputs.items() if name.startswith(begins)}
    return SplitFeatures(inputs, whole.labels[rows], whole.ids.iloc[rows])


def shuffled(test: SplitFeatures, seed: int) -> SplitFeatures:
    """The same rows, each with the two images of another row."""
    order = np.random.default_rng(seed).permutation(len(test.labels))
    inputs = {n: array[order] if n.startswith("image") else array for n, array in test.inputs.items()}
    return SplitFeatures(inputs, test.labels, test.ids)


def crossval(whole: SplitFeatures, config: Configuration) -> dict[str, list[float]]:
    """Macro-F1 of each fold, by variant."""
    from sklearn.model_selection import StratifiedKFold, train_test_split

    from entailment.model.training import predict, train_head

    scores: dict[str, list[float]] = {name: [] for name in (*VARIANTS, SHUFFLED)}
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=config.seed).split(whole.labels, whole.labels)
    for rest, test_rows in folds:
        train_rows, validation_rows = train_test_split(
            rest,
            test_size=config.split.validation_fraction,
            stratify=whole.labels[rest],
            random_state=config.seed,
        )
        for name, begins in VARIANTS.items():
            train, validation, test = (
                part(whole, rows, begins) for rows in (train_rows, validation_rows, test_rows)
            )
            model = train_head(train, validation, config.head, config.training, config.seed).model
            scores[name].append(macro_f1(test.labels, predict(model, test).argmax(axis=1), 3))
        answers = predict(model, shuffled(test, config.seed)).argmax(axis=1)
        scores[SHUFFLED].append(macro_f1(test.labels, answers, 3))
    return scores


def main() -> None:
    """Runs everything and prints the table."""
    config = Configuration()
    with tempfile.TemporaryDirectory() as folder:
        whole = features(Path(folder) / "sample", config)
    scores = crossval(whole, config)
    print(f"macro-F1, mean and standard deviation of {FOLDS} folds, {len(whole.labels)} generated pairs")
    for name, values in scores.items():
        print(f"{name:<28} {np.mean(values):.3f} +- {np.std(values):.3f}")
    both, text = float(np.mean(scores["multimodal"])), float(np.mean(scores["text"]))
    sides = [
        {"name": "multimodal", "value": round(both, 4), "unit": "macro-F1"},
        {"name": "text only", "value": round(text, 4), "unit": "macro-F1"},
    ]
    print(json.dumps({"name": "sample_data", "ratio": round(both / text, 3), "sides": sides}))


if __name__ == "__main__":
    main()
