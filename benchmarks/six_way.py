"""The example's comparison: three losses, each with texts and images and with texts alone, on stored features,
against frozen encoders that are computed anew for every batch of every epoch, as in the Keras example.

`python benchmarks/six_way.py` takes the default encoders, `--encoders example` stand-ins of the example's own with
random weights (BERT with 2 layers, 256 wide, 4 heads, both texts packed as one input; ResNet50V2). Same rows
(generated sample data), encoders, head, epochs and batch size on both sides.

The stored side is measured whole: encoding everything into an empty store, then six trainings. Of the other side one
epoch of each kind of input is measured (texts padded to 128 tokens, validation included) and multiplied by losses and
epochs: all of it would take most of an hour. The sides take turns; medians of the rounds count.
"""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from benchmarks.measuring import finish, matmul_peak
from entailment.configuration.configuration import Configuration
from entailment.configuration.head import Head
from entailment.configuration.training import Training
from entailment.encoders.handles import load_module, resolve_handle
from entailment.task import TEXT
from entailment.workspace import workspace

LOSSES = ("cross_entropy", "weighted", "focal")
INPUTS = ("multimodal", "text")
LENGTH = 128


def write_data(folder: Path, pairs: int, config: Configuration) -> Path:
    """Generated pairs and images, resolved, split and written as records."""
    from entailment.data.image_paths import resolve_image_paths
    from entailment.data.pairs import read_pairs
    from entailment.data.sample import write_sample
    from entailment.data.split import split_pairs
    from entailment.records.writing import write_records

    write_sample(folder / "sample", pairs=pairs)
    frame = read_pairs(
        folder / "sample" / "pairs.csv", config.task, max_text_bytes=config.ingest.max_text_bytes
    )
    limit = config.images.max_pixels
    frame, _ = resolve_image_paths(frame, folder / "sample" / "images", missing="error", max_pixels=limit)
    write_records(split_pairs(frame, config.split, config.seed), folder / "records", config)
    return folder / "records"


def stand_ins(folder: Path) -> tuple[str, str]:
    """Folders of a text and an image module of the example's size, with random weights."""
    import keras
    import tensorflow as tf

    from entailment.encoders.build import bert_module
    from entailment.encoders.keras_applications import network_module

    keras.utils.set_random_seed(1)
    tf.saved_model.save(bert_module(random_bert(layers=2, width=256), heads=4), str(folder / "text"))
    module, _ = network_module("ResNet50V2", weights=None)
    tf.saved_model.save(module, str(folder / "image"))
    return str(folder / "text"), str(folder / "image")


def random_bert(layers: int, width: int, vocabulary: int = 30522) -> dict[str, np.ndarray]:
    """Random tensors under the names of a Hugging Face BERT checkpoint."""
    random = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocabulary, width),
        "embeddings.position_embeddings.weight": (512, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    dense = {f"attention.self.{part}": (width, width) for part in ("query", "key", "value")}
    dense |= {"attention.output.dense": (width, width)}
    dense |= {"intermediate.dense": (4 * width, width), "output.dense": (width, 4 * width)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        place = f"encoder.layer.{layer}"
        norms += [f"{place}.attention.output.LayerNorm", f"{place}.output.LayerNorm"]
        for name, shape in dense.items():
            shapes |= {f"{place}.{name}.weight": shape, f"{place}.{name}.bias": shape[:1]}
    tensors = {name: random.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
    for norm in norms:
        tensors |= {f"{norm}.weight": np.ones(width, np.float32), f"{norm}.bias": np.zeros(width, np.float32)}
    return tensors


class Comparison:
    """Both sides over the same records, encoders and configuration."""

    def __init__(self, records: Path, text: Any, image: Any, pair: bool, config: Configuration) -> None:
        """`text` and `image` are loaded encoders; `pair` packs both texts as one input."""
        self.records, self.text, self.image, self.pair, self.config = records, text, image, pair, config
        self.modules = {
            name: load_module(resolve_handle(handle, workspace().encoders))
            for name, handle in (
                ("text", text.handle),
                ("image", image.handle),
                ("preprocessor", config.encoders.text.preprocessor),
            )
        }

    def stored(self, store: Path) -> tuple[float, float]:
        """Seconds for encoding everything into the empty folder `store`, and for the six trainings."""
        from entailment.inputs.image import image_channel
        from entailment.inputs.text import text_channel
        from entailment.model.features import Featurizer, SplitFeatures
        from entailment.model.training import train_head

        start = time.perf_counter()
        channels = [text_channel(self.text, pair=self.pair), image_channel(self.image)]
        featurizer = Featurizer(channels, store=store)
        splits = [featurizer.split(self.records, name) for name in ("train", "validation")]
        encoded = time.perf_counter()
        for inputs in INPUTS:
            kept = "text" if inputs == "text" else ""
            parts = [
                SplitFeatures({n: c for n, c in s.inputs.items() if n.startswith(kept)}, s.labels, s.ids)
                for s in splits
            ]
            for loss in LOSSES:
                training = self.config.training.model_copy(update={"loss": loss})
                train_head(parts[0], parts[1], self.config.head, training, self.config.seed)
        return encoded - start, time.perf_counter() - encoded

    def recomputed_epoch(self, inputs: str) -> float:
        """Seconds of one epoch, encoders included, validation too; building and tracing are not counted."""
        import keras

        model = self._model(inputs)
        model.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy())
        train, validation = (self._batches(name) for name in ("train", "validation"))
        model.fit(train.take(2), validation_data=validation.take(1), verbose=0)
        start = time.perf_counter()
        model.fit(train, validation_data=validation, epochs=1, verbose=0)
        return time.perf_counter() - start

    def _batches(self, split: str) -> Any:
        from entailment.records.reading import records_dataset

        seed = self.config.seed if split == "train" else None
        rows = records_dataset(self.records, split, shuffle_seed=seed).batch(self.config.training.batch_size)
        return rows.map(self._packed).prefetch(2)

    def _packed(self, rows: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """As in the example, texts are tokenized and packed while the data is read."""
        import tensorflow as tf

        module = self.modules["preprocessor"]
        texts = [module.tokenize(rows[name]) for name in TEXT]
        packed = [
            module.bert_pack_inputs(segments, seq_length=tf.constant(LENGTH))
            for segments in ([texts] if self.pair else [[text] for text in texts])
        ]
        tokens = {f"{name}/{side}": ids for side, ids_of in enumerate(packed) for name, ids in ids_of.items()}
        return {**tokens, "image/0": rows["image_1"], "image/1": rows["image_2"]}, rows["label"]

    def _model(self, inputs: str) -> Any:
        import keras
        import tensorflow as tf

        from entailment.model.head import build_head

        names = ("text",) if self.pair else ("text_1", "text_2")
        widths = {name: self.text.width for name in names}
        if inputs == "multimodal":
            widths |= {"image_1": self.image.width, "image_2": self.image.width}
        head = build_head(widths | {f"{name}_present": 1 for name in widths}, self.config.head, 3)
        comparison = self

        class Recomputing(keras.Model):
            """Frozen encoders and the head in one network."""

            def __init__(self) -> None:
                super().__init__()
                self.head = head

            def call(self, batch: dict[str, Any], training: bool = False) -> Any:
                features = {}
                for name in widths:
                    kind, _, side = name.partition("_")
                    features[name] = tf.stop_gradient(comparison.encoded(batch, kind, int(side or 1) - 1))
                    features[f"{name}_present"] = tf.ones([tf.shape(features[name])[0], 1])
                return self.head(features, training=training)

        return Recomputing()

    def encoded(self, batch: dict[str, Any], kind: str, side: int) -> Any:
        """One frozen encoder's output for one side of a batch."""
        import tensorflow as tf

        if kind == "image":
            return self.modules["image"](tf.cast(batch[f"image/{side}"], tf.float32) / 255)
        names = ("input_word_ids", "input_mask", "input_type_ids")
        return self.modules["text"]({name: batch[f"{name}/{side}"] for name in names})[self.text.output]


@click.command(help=__doc__)
@click.option("--encoders", "kind", type=click.Choice(["default", "example"]), default="default")
@click.option("--pairs", default=1400, show_default=True, help="Generated pairs.")
@click.option("--epochs", default=10, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(kind: str, pairs: int, epochs: int, rounds: int) -> None:
    """Measures both sides and prints the table."""
    from entailment.encoders.image import ImageEncoder
    from entailment.encoders.text import TextEncoder

    head = Head(pair_features=kind == "default")  # the example's has none
    config = Configuration(head=head, training=Training(epochs=epochs, patience=0))
    with tempfile.TemporaryDirectory() as scratch:
        folder, encoders, pair = Path(scratch), workspace().encoders, kind == "example"
        names = (config.encoders.text.encoder, config.encoders.image.encoder)
        handles = stand_ins(folder) if pair else names
        text = TextEncoder(handles[0], config.encoders.text.preprocessor, encoders, LENGTH)
        image = ImageEncoder(handles[1], encoders, config.images.size)
        records = write_data(folder, pairs, config)
        comparison = Comparison(records, text, image, pair, config)
        measured: dict[str, list[float]] = {"encode": [], "train": [], **{name: [] for name in INPUTS}}
        for number in range(rounds):
            for name in INPUTS:
                measured[name].append(comparison.recomputed_epoch(name))
            encode, train = comparison.stored(folder / f"store-{number}")
            measured["encode"].append(encode)
            measured["train"].append(train)
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    report(measured, kind, epochs)


def report(measured: dict[str, list[float]], kind: str, epochs: int) -> None:
    """Prints seconds of both sides and the ratio."""
    rounds = list(zip(*(measured[name] for name in ("encode", "train", *INPUTS)), strict=True))
    stored = [encode + train for encode, train, _, _ in rounds]
    recomputed = [epochs * len(LOSSES) * (both + texts) for _, _, both, texts in rounds]
    each = {name: median(seconds) for name, seconds in measured.items()}
    ways = len(LOSSES) * len(INPUTS)
    print(f"{ways} trainings of {epochs} epochs, {kind} encoders; matmul peak {matmul_peak():.0f} GFLOP/s")
    print(
        f"stored      {median(stored):8.1f} s: encoding {each['encode']:.1f} s, training {each['train']:.1f} s"
    )
    print(
        f"recomputed  {median(recomputed):8.1f} s: {len(LOSSES)} x {epochs} epochs of {each['multimodal']:.1f} s"
        f" (texts and images) and {each['text']:.1f} s (texts)"
    )
    ratio = median(other / ours for ours, other in zip(stored, recomputed, strict=True))
    sides = {"stored features": median(stored), "recomputed every epoch": median(recomputed)}
    finish(f"six_way_{kind}", ratio, sides, "s")


if __name__ == "__main__":
    main()
