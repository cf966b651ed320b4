"""Memory against rows: the whole program on generated pairs of texts, from 10 thousand to 1 million.

`python benchmarks/memory.py [--rows 10000 100000 1000000]` writes a CSV of so many pairs (all texts
distinct, of a tweet's length), trains on it with `run_pipeline.py --inputs text` in a home of its own, and reads
five times a second in /proc what the process and its children hold: anonymous memory (with what was swapped out),
which the machine must have, and resident memory, which also counts mapped files that the system may drop (stored
features, libraries). The text encoder is a stand-in with random weights whose vectors are as wide as the default
one's (384): nothing but the time of encoding differs. One epoch, batches of 1,024.

Needs about 7 GB of free disk for 1 million pairs; everything is removed at the end.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.measuring import finish
from entailment.task import LABELS, PAIR_COLUMNS
from entailment.workspace import PROJECT

WIDTH = 384
LONGEST = 42
"""Words in a text, at most; 8 at least."""
SETTINGS = ("training.epochs=1", "training.batch_size=1024")
START = "start"
UP_TO_TRAINING = (START, "ingest", "resolve_image_paths", "split", "write_tfrecords", "train")
SECONDS_BETWEEN = 0.2


@dataclass
class Measured:
    """What one stage of a run took."""

    anonymous: float = 0.0
    """Peak of anonymous memory, swapped out or not, in MB."""
    resident: float = 0.0
    """Peak of resident memory, in MB."""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def add(self, anonymous: float, resident: float) -> None:
        """Takes one sample in."""
        self.anonymous = max(self.anonymous, anonymous)
        self.resident = max(self.resident, resident)
        self.seconds = time.monotonic() - self.began


def words(count: int = 4000) -> list[str]:
    """Made-up words, the same on every call."""
    rng = np.random.default_rng(1)
    letters = np.array(list("etaoinshrdlucmfwyp"))
    return sorted({"".join(rng.choice(letters, length)) for length in rng.integers(2, 10, count)})


def write_pairs(path: Path, rows: int) -> None:
    """A CSV of pairs, the same on every call; every text ends with a number of its own."""
    rng, known = np.random.default_rng(2), np.array(words(), object)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(PAIR_COLUMNS)
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            chosen = known[rng.integers(0, len(known), (count, 2, LONGEST))]
            lengths = rng.integers(8, LONGEST, (count, 2))
            labels = rng.choice(LABELS, count, p=[0.15, 0.15, 0.7])
            for row in range(count):
                posts = []
                for side in (0, 1):
                    number = 2 * (start + row) + side
                    text = " ".join(chosen[row, side, : lengths[row, side]])
                    url = f"https://pbs.example/media/E{number:08d}.jpg"
                    posts += [str(1_370_000_000_000_000_000 + number * 7919), f"{text} #{number}", url]
                writer.writerow([*posts, labels[row]])


def write_modules(folder: Path) -> dict[str, str]:
    """A preprocessor of these words and a stand-in text encoder; the setting that names each."""
    import tensorflow as tf

    from entailment.encoders.build import preprocess_module

    digits = [*"0123456789", *(f"##{digit}" for digit in range(10))]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "#", *digits, *words()]
    encoder = tf.train.Checkpoint()
    table = np.random.default_rng(3).normal(0, 1, (len(vocabulary), WIDTH)).astype(np.float32)
    encoder.table = tf.Variable(table)
    tokens = tf.TensorSpec([None, None], tf.int32)
    inputs = dict.fromkeys(("input_word_ids", "input_mask", "input_type_ids"), tokens)

    def encode(packed: "dict[str, tf.Tensor]") -> "dict[str, tf.Tensor]":
        used = tf.cast(packed["input_mask"], tf.float32)[..., None]
        total = tf.reduce_sum(tf.gather(encoder.table, packed["input_word_ids"]) * used, axis=1)
        return {"pooled_output": tf.tanh(total / tf.sqrt(tf.reduce_sum(used, axis=1)))}

    encoder.__call__ = tf.function(encode, input_signature=[inputs], autograph=False)
    modules = {"preprocessor": preprocess_module(vocabulary), "encoder": encoder}
    for name, module in modules.items():
        tf.saved_model.save(module, str(folder / name))
    return {f"encoders.text.{name}": str(folder / name) for name in modules}


def run(pairs: Path, settings: dict[str, str], folder: Path) -> dict[str, Measured]:
    """Trains on `pairs` in an empty home below `folder`; what was measured, by stage in order."""
    command = [sys.executable, str(PROJECT / "run_pipeline.py"), "--dataset", str(pairs), "--inputs", "text"]
    command += ["--missing-images", "mask"]
    for assignment in (*SETTINGS, *(f"{key}={value}" for key, value in settings.items())):
        command += ["--set", assignment]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZENML_")}
    environment |= {"ENTAILMENT_HOME": str(folder / "home"), "ZENML_CONFIG_PATH": str(folder / "zenml")}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "ZENML_LOGGING_COLORS_DISABLED": "true"}
    stages, said = {START: Measured()}, []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        reader = threading.Thread(target=follow, args=(process.stderr, stages, said))
        reader.start()
        while process.poll() is None:
            stages[list(stages)[-1]].add(*held(process.pid))
            time.sleep(SECONDS_BETWEEN)
        reader.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{''.join(said)[-3000:]}")
    return stages


def follow(lines: Iterator[str], stages: dict[str, Measured], said: list[str]) -> None:
    """Opens a stage whenever the program says that a step has started."""
    for line in lines:
        said.append(line)
        if started := re.search(r"Step (\w+) has started", line.replace("`", "")):
            stages[started[1]] = Measured()


def held(pid: int) -> tuple[float, float]:
    """Anonymous (with swapped) and resident MB of a process and all below it; what has ended counts nothing."""
    anonymous = resident = 0.0
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        children = [
            int(n) for path in Path(f"/proc/{pid}/task").glob("*/children") for n in path.read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    kilobytes = {
        name: int(value) for name, value in re.findall(r"^(RssAnon|VmSwap|VmRSS):\s+(\d+)", status, re.M)
    }
    anonymous = (kilobytes.get("RssAnon", 0) + kilobytes.get("VmSwap", 0)) / 1024
    resident = kilobytes.get("VmRSS", 0) / 1024
    below = [held(child) for child in children]
    return anonymous + sum(one for one, _ in below), resident + sum(two for _, two in below)


def report(rows: int, stages: dict[str, Measured]) -> None:
    """Prints what each stage took."""
    for name, stage in stages.items():
        print(
            f"{rows:>9,} pairs  {name:<20} anonymous {stage.anonymous:6,.0f} MB   resident {stage.resident:6,.0f} MB"
            f"   {stage.seconds:7.1f} s",
            flush=True,
        )


def peak(stages: dict[str, Measured], names: tuple[str, ...], kind: str) -> float:
    """The highest `kind` ("anonymous" or "resident") of some stages."""
    return max(getattr(stages[name], kind) for name in names)


def main() -> None:
    """Measures and prints everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    rows = parser.parse_args().rows
    results = {}
    for count in rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            settings = write_modules(folder)
            write_pairs(folder / "pairs.csv", count)
            results[count] = run(folder / "pairs.csv", settings, folder)
        report(count, results[count])
    print(
        f"\n{'':>15}{'up to training, MB':>24}{'whole run, MB':>24}\n{'pairs':>15}"
        + 2 * f"{'anonymous':>12}{'resident':>12}"
    )
    for count, stages in results.items():
        figures = [
            peak(stages, names, kind)
            for names in (UP_TO_TRAINING, tuple(stages))
            for kind in ("anonymous", "resident")
        ]
        print(f"{count:>15,}" + "".join(f"{figure:>12,.0f}" for figure in figures))
    most, least = (peak(results[count], UP_TO_TRAINING, "anonymous") for count in (max(rows), min(rows)))
    sides = {f"{max(rows):,} pairs, anonymous, up to training": most, f"{min(rows):,} pairs": least}
    finish("memory", most / least, sides, "MB")


if __name__ == "__main__":
    main()
