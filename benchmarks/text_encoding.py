"""Text encoding against sentence-transformers and ONNX Runtime: same weights, same texts, same cores, in turns.

`python benchmarks/text_encoding.py` takes the texts of the generated sample, `--texts FILE.csv` those of another
table of pairs. The other sides run in one process of their own,
whose virtual environment (1.5 GB, PyTorch) is made in `$ENTAILMENT_HOME/benchmarks` on the first run. They tokenize,
sort by length and pad to the longest of a batch as ours does; of several batch sizes the best one counts.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from benchmarks.measuring import alternate, finish, matmul_peak, ratio
from entailment.configuration.configuration import Configuration
from entailment.workspace import workspace

REQUIREMENTS: Final = (
    "torch==2.13.0",
    "sentence-transformers==6.2.0",
    "transformers==5.23.0",
    "onnxruntime==1.32.0",
    "onnx==1.23.2",
)
BATCHES: Final = (32, 64, 128)
"""Rows a batch that the other sides are tried with; 32 is the default of sentence-transformers."""
OURS: Final = "ours"
RIVALS: Final = ("sentence-transformers", "onnx")
PEAK: Final = "matrix multiply"
HEADS, LAYERS, WIDTH = 12, 6, 384


def distinct_texts(csv: Path | None) -> list[str]:
    """Every distinct text of a table of pairs, or of the generated sample, in its order."""
    from entailment.data.pairs import read_pairs
    from entailment.data.sample import write_sample
    from entailment.task import TEXT

    config = Configuration()
    with tempfile.TemporaryDirectory() as folder:
        if csv is None:
            write_sample(Path(folder) / "sample", pairs=config.dataset.sample_pairs)
            csv = Path(folder) / "sample" / "pairs.csv"
        frame = read_pairs(csv, config.task, max_text_bytes=config.ingest.max_text_bytes)
    return list(
        dict.fromkeys(text for row in frame[list(TEXT)].itertuples(index=False) for text in row if text)
    )


def rival_python(folder: Path) -> Path:
    """The Python of the other sides' virtual environment below `folder`, made when it is not there."""
    python, done = folder / "rival" / "bin" / "python", folder / "rival" / "made.json"
    if not done.is_file() or json.loads(done.read_text()) != list(REQUIREMENTS):
        print("Making the other sides' virtual environment, 1.5 GB, once.", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "rival")], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        subprocess.run(install, check=True, stdout=sys.stderr)
        done.write_text(json.dumps(REQUIREMENTS))
    return python


def write_model(weights: Path, folder: Path) -> None:
    """all-MiniLM-L6-v2 in Hugging Face's form, from the weights that ours is built of."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in (("minilm.safetensors", "model.safetensors"), ("minilm-vocab.txt", "vocab.txt")):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(weights / source)
    network = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 4 * WIDTH,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "vocab_size": 30522,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(network))
    tokenizer = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))


class Rivals:
    """The process of the other sides."""

    def __init__(self, python: Path, model: Path, texts: list[str], cores: int, length: int) -> None:
        """Starts it; it has loaded everything when the first answer comes."""
        listed = model / "texts.json"
        listed.write_text(json.dumps(texts))
        script = Path(__file__).with_name("rival_text.py")
        command = [str(python), str(script), str(model), str(listed), str(cores), str(length)]
        self._log = model / "rival.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )

    def encode(self, name: str, rows: int) -> np.ndarray:
        """The vectors of one side, [n, width]."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps([name, rows]), file=self._process.stdin, flush=True)
        path = self._process.stdout.readline().strip()
        if not path:
            raise SystemExit(f"the process of {name} ended: see {self._log}")
        vectors: np.ndarray = np.load(path)
        return vectors

    def best(self, name: str) -> int:
        """The rows a batch with which this side is fastest here; each was run once before it counts."""
        seconds = {}
        for rows in BATCHES:
            self.encode(name, rows)
            start = time.perf_counter()
            self.encode(name, rows)
            seconds[rows] = time.perf_counter() - start
        return min(seconds, key=seconds.__getitem__)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def flops(lengths: np.ndarray) -> float:
    """Floating-point operations of the matrix products of texts of these numbers of tokens, without padding.

    A layer: query, key, value and output 4 width^2 a token, the two dense layers 8 width^2, the scores and the
    mixing length * width each; a multiplication and an addition count as two.
    """
    tokens = lengths.astype(np.float64)
    return float(LAYERS * 2 * (12 * WIDTH**2 * tokens + 2 * WIDTH * tokens**2).sum())


def least_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """The smallest cosine between rows of the two."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / norms).min())


def same_tokens(packed: Any, theirs: list[list[int]]) -> np.ndarray:
    """Which texts are cut into the same tokens, bool [n]: TensorFlow Text writes … and ™ out, theirs does not."""
    ids, lengths = packed["input_word_ids"].numpy(), packed["input_mask"].numpy().sum(axis=1)
    rows = zip(ids, lengths, theirs, strict=True)
    return np.array([ours[:length].tolist() == other for ours, length, other in rows])


@click.command(help=__doc__)
@click.option("--texts", "csv", type=click.Path(path_type=Path, exists=True), help="A table of pairs.")
@click.option("--count", type=click.IntRange(1), default=600, show_default=True, help="Texts, evenly taken.")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
def main(csv: Path | None, count: int, rounds: int) -> None:
    """Runs all sides and prints the table."""
    from entailment.encoders.text import TextEncoder

    config = Configuration().encoders.text
    texts, encoders = distinct_texts(csv), workspace().encoders
    texts = texts[:: max(1, len(texts) // count)][:count]
    ours = TextEncoder(config.encoder, config.preprocessor, encoders, config.sequence_length, config.output)
    folder = workspace().home / "benchmarks"
    write_model(encoders / "weights", folder / "minilm")
    cores = len(os.sched_getaffinity(0))
    rivals = Rivals(rival_python(folder), folder / "minilm", texts, cores, config.sequence_length)
    rows = {name: rivals.best(name) for name in RIVALS}
    vectors, packed = ours.encode(texts), ours.pack(texts)
    same = same_tokens(packed, json.loads((folder / "minilm" / "tokens.json").read_text()))
    print(f"{len(texts) - same.sum()} of {len(texts)} texts are cut into other tokens by the other sides")
    for name in RIVALS:
        cosine = least_cosine(vectors[same], rivals.encode(name, rows[name])[same])
        print(f"{name}: batches of {rows[name]}; least cosine with ours {cosine:.6f}")
        if cosine < 0.9999:
            raise SystemExit(
                f"{name} gives other vectors than ours: these are not the same texts and weights"
            )

    peaks: list[float] = []
    sides: dict[str, Callable[[], object]] = {OURS: lambda: ours.encode(texts)}
    for name in RIVALS:
        sides[name] = lambda name=name: rivals.encode(name, rows[name])
    sides[PEAK] = lambda: peaks.append(matmul_peak())
    seconds = alternate(sides, rounds)
    rivals.close()

    lengths = packed["input_mask"].numpy().sum(axis=1)
    peak, work = median(peaks), flops(lengths) / 1e9
    rates = {name: len(texts) / median(seconds[name]) for name in (OURS, *RIVALS)}
    where = csv.name if csv else "the generated sample"
    print(f"{len(texts)} texts of {where}, {lengths.mean():.1f} tokens each, {cores} cores")
    print(f"{PEAK}: {peak:.0f} GFLOP/s (float32, {cores} cores)")
    for name, rate in rates.items():
        share = work / median(seconds[name]) / peak
        faster = "" if name == OURS else f"; ours is {ratio(seconds, OURS, name):.2f} x as fast"
        print(f"{name:<22} {rate:7.1f} texts/s, {share:.0%} of the matrix-multiply peak{faster}")
    first = RIVALS[0]
    finish("text_encoding", ratio(seconds, OURS, first), {n: rates[n] for n in (OURS, first)}, "texts/s")


if __name__ == "__main__":
    main()
