"""What libraries raise on disks that cannot be written: `python -m tests.disks FOLDER`, as root of a mount namespace.

Each library writes a megabyte to a full disk, to a read-only one and, as another user, to one that is root's. Prints
a JSON object for each: disk, library, and what `disk_fault` says. Exit code 77: nothing can be mounted here.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from entailment.disks import disk_fault
from entailment.files import written_aside

BIG = os.urandom(1 << 20)
CANNOT_MOUNT = 77
NOBODY = 65534


def sqlite(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t(a blob)")
        connection.execute("insert into t values (?)", (BIG,))
        connection.commit()


def sqlalchemy(path: Path) -> None:
    """As ZenML, MLflow and Optuna write."""
    from sqlalchemy import create_engine, text

    with create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(text("create table t(a blob)"))
        connection.execute(text("insert into t values (:a)"), {"a": BIG})


def parquet(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"a": [BIG]}), path)


def records(path: Path) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(BIG)


def saved_model(path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(tf.random.uniform([1 << 18]))
    module.call = tf.function(lambda: module.weights + 1, input_signature=[])
    tf.saved_model.save(module, str(path))


def keras_file(path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((512,)), keras.layers.Dense(512)]).save(path.with_suffix(".keras"))


def weights(path: Path) -> None:
    import keras

    head = keras.Sequential([keras.Input((512,)), keras.layers.Dense(512)])
    head.save_weights(path.with_suffix(".weights.h5"))


def safetensors(path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"a": np.frombuffer(BIG, np.uint8)}, path)


def copied_folder(path: Path) -> None:
    shutil.copytree(Path(os.environ["TO_COPY"]), path)


def plain(path: Path) -> None:
    path.write_bytes(BIG)


def aside(path: Path) -> None:
    with written_aside(path / "kept") as beside:
        records(beside)


WRITES: tuple[Callable[[Path], None], ...] = (
    *(sqlite, sqlalchemy, parquet, records, saved_model, keras_file, weights, safetensors),
    *(copied_folder, plain, aside),
)


def attempt(disk: str, folder: Path) -> None:
    for write in WRITES:
        said = None
        try:
            write(folder / write.__name__)
        except Exception as error:
            fault = disk_fault(error)
            said = [type(error).__name__, fault and [fault.errno, fault.strerror, fault.filename]]
        left = sorted(str(path) for path in folder.rglob("*") if path.is_file()) if write is aside else []
        print(json.dumps({"disk": disk, "library": write.__name__, "said": said, "left": left}), flush=True)
        for path in () if disk != "full" else folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def mount(*options: str) -> None:
    if subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode:
        sys.exit(CANNOT_MOUNT)


def main(folder: Path) -> None:
    where = str(folder)
    mount("-t", "tmpfs", "-o", "size=200k,mode=755", "none", where)
    attempt("full", folder)
    mount("-o", "remount,ro", where)
    attempt("read-only", folder)
    mount("-o", "remount,rw", where)
    os.setgroups([])
    os.setuid(NOBODY)
    attempt("of another user", folder)
    # HDF5 crashes where it tidies up what it could not write.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
