"""Makes `home.tar.xz`: a home as the commit tagged `format-1` (5f4f31e) wrote it, with random encoders of a few kB.

    git worktree add /tmp/format-1 format-1
    cd /tmp/format-1 && python CHECKOUT/tests/golden/make_home.py CHECKOUT/tests/golden/home.tar.xz

It runs that commit's own code, which must be the working folder. Beside the home lie 40 raw pairs and what the two
registered versions answered to them: version 1 is plain, version 2 has what later commits took away.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

ROOT = Path("/tmp/multimodal-entailment-format-1")
"""A home is bound to its path: tests lay it here again."""
WORDS = ("harbour", "bridge", "market", "river", "tower", "garden", "train", "school", "museum", "street")
PLAIN = f"""
dataset: {{source: mine}}
images: {{size: 32}}
split: {{test_fraction: 0.25, validation_fraction: 0.2}}
records: {{rows_per_shard: 16}}
encoders:
  text: {{encoder: {ROOT}/encoders/text, preprocessor: {ROOT}/encoders/preprocessor, sequence_length: 16}}
  image: {{encoder: {ROOT}/encoders/image}}
head: {{projection_units: 16}}
training: {{epochs: 4, patience: 0}}
evaluation: {{bootstrap_samples: 50, sample_rows: 2}}
"""
TAKEN_AWAY = (
    *("encoders.text.relations=true", "encoders.text.words=true", "head.combine=vote"),
    *("training.members=2", "training.offsets=macro_f1", "seed=7"),
)


def raw_pairs(count: int) -> pd.DataFrame:
    """Texts and PNG files of 24 x 24 pixels, so small that any decoder gives the same pixels."""
    labels = ("Contradictory", "Implies", "NoEntailment")
    chance = np.random.default_rng(5)
    rows = []
    for number in range(count):
        text = " ".join([*chance.choice(WORDS, 4), str(number)])
        other = " ".join([*chance.choice(WORDS, 3), str(number + 500)])
        label = labels[number % 3]
        second = {"Implies": text, "Contradictory": f"not {text}", "NoEntailment": other}[label]
        rows.append((f"a{number}", text, _png(chance), f"b{number}", second, _png(chance), label))
    columns = ["id_1", "text_1", "image_1", "id_2", "text_2", "image_2", "label"]
    return pd.DataFrame(rows, columns=columns)


def _png(chance: np.random.Generator) -> bytes:
    from io import BytesIO

    coarse = chance.integers(0, 256, (3, 3, 3), np.uint8)
    stream = BytesIO()
    Image.fromarray(coarse.repeat(8, axis=0).repeat(8, axis=1)).save(stream, "PNG")
    return stream.getvalue()


def asked(pairs: pd.DataFrame) -> pd.DataFrame:
    """40 pairs as a served model gets them, some with things missing, overlong or damaged."""
    rows = pairs[["text_1", "text_2", "image_1", "image_2"]].head(40).copy()
    rows.loc[1, "image_1"] = b""
    rows.loc[2, ["image_1", "image_2"]] = b""
    rows.loc[3, "text_2"] = ""
    rows.loc[4, ["text_1", "text_2"]] = ""
    rows.loc[5, "text_1"] = "x" * 30_000
    rows.loc[6, "image_2"] = rows.loc[6, "image_2"][:40]
    rows.loc[7, "text_1"] = "Ümlaut \U0001f600 日本 " * 20
    return rows


def write_tables(pairs: pd.DataFrame) -> None:
    """Two tables and a folder of images, as people have them."""
    (ROOT / "pictures").mkdir()
    table = pairs.copy()
    for side in (1, 2):
        for name, data in zip(pairs[f"id_{side}"], pairs[f"image_{side}"], strict=True):
            (ROOT / "pictures" / f"{name}.png").write_bytes(data)
        table[f"image_{side}"] = "https://example.org/" + table[f"id_{side}"] + ".png"
    table.head(48).to_csv(ROOT / "first.csv", index=False)
    table.tail(48).to_csv(ROOT / "second.csv", index=False)


def run(*arguments: str) -> None:
    """One command of the commit in the working folder."""
    command = [sys.executable, "run_pipeline.py", *arguments, "--config", str(ROOT / "plain.yaml")]
    subprocess.run(command, check=True)


def main(target: Path) -> None:
    """Writes the home and packs it."""
    sys.path.insert(0, str(Path.cwd()))
    os.environ |= {"ENTAILMENT_HOME": str(ROOT / "home"), "CUDA_VISIBLE_DEVICES": ""}
    os.environ |= {"ZENML_CONFIG_PATH": str(ROOT / "home" / "zenml-config")}
    from tests.encoders.random_modules import write_random_modules

    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir()
    write_random_modules(ROOT / "encoders")
    (ROOT / "plain.yaml").write_text(PLAIN)
    pairs = raw_pairs(96)
    write_tables(pairs)
    for table in ("first", "second"):
        run("add", str(ROOT / f"{table}.csv"), "--images", str(ROOT / "pictures"), "--to", "mine")
    run("train")
    run("train", *(part for setting in TAKEN_AWAY for part in ("--set", setting)))

    import mlflow

    from tracking.registry import champion_version, version_files

    mlflow.set_tracking_uri(f"sqlite:///{ROOT}/home/mlflow.db")
    assert champion_version() == "1"
    questions = asked(pairs)
    questions.to_parquet(ROOT / "questions.parquet")
    for version in ("1", "2"):
        model = mlflow.pyfunc.load_model(str(version_files(version).parent))
        model.predict(questions).to_parquet(ROOT / f"answers-{version}.parquet")
    for needless in ("scratch", "matplotlib"):
        shutil.rmtree(ROOT / "home" / needless, ignore_errors=True)
    with tarfile.open(target, "w:xz", preset=9) as packed:
        packed.add(ROOT, ROOT.name, filter=_kept)


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but compiled code and the pictures of runs, which nothing reads."""
    path = Path(entry.name)
    picture = path.suffix == ".png" and "mlartifacts" in path.parts
    return None if picture or "__pycache__" in path.parts else entry


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
