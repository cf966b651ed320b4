"""The folder that the registered model consists of: graphs, JSON, and the module that reads them.

package.json                 format number, labels, columns, and for each kind of input what its reader must know
text/ preprocessor/ image/   the encoders, as SavedModels, by kind of input
head/                        the head, as a SavedModel: inputs by name -> probabilities
head.keras head.json         the same as a Keras model, and its settings, for an export; no reader loads them
reader/<name>/               `serving/reader.py`, the kinds' files and what they need, named by their hash
"""

import hashlib
import importlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entailment.configuration.model import ModelConfiguration
from entailment.disks import check_room
from entailment.encoders.handles import resolve_handle
from entailment.errors import DataError
from entailment.files import bytes_of_folder, check_format, read_json, write_json, written_aside
from entailment.inputs import kind_named
from entailment.model.end_to_end import tuned_featurizer
from entailment.model.head import kinds_among
from entailment.model.training import TrainedHead
from entailment.serving.reader import SETTINGS, Encode
from entailment.task import KINDS, LABELS, columns_of, probability_columns

if TYPE_CHECKING:
    import keras
    import pandas as pd

FORMAT: Final = 3
_FLAT: Final = 2
"""The last format whose settings know texts and images alone, and are not told by kind of input."""
_FIRST_FORMAT: Final = "predictor.json"
"""The settings of a package of format 1, which brings a copy of `entailment/` beside it."""
_READER: Final = ("errors.py", "task.py", "data/images.py", "inputs/kind.py", "serving/reader.py")
_CORE: Final = Path(__file__).resolve().parents[1]
_FIRST_READER: Final = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import pandas
from entailment.serving.predictor import Predictor
Predictor(Path(sys.argv[2])).predict(pandas.read_parquet(sys.argv[3])).to_parquet(sys.argv[4])
"""


def write_package(folder: Path, head: TrainedHead, configuration: ModelConfiguration, encoders: Path) -> Path:
    """Writes everything that prediction needs into `folder`; it then works by itself, anywhere.

    `encoders` is where the configured encoders are found or built; those that were trained come from the head.
    Raises EntailmentError where package and registered model, a copy of it, do not fit on the disk.
    """
    handles = head.tuned(configuration.encoders).handles(configuration.inputs)
    featurizer = tuned_featurizer(head, configuration, encoders, None)
    seen = kinds_among(tensor.name for tensor in head.model.inputs)
    # Texts and images are columns of every table, whatever a model sees of it.
    taken = [kind_named(name) for name in KINDS if name in (*seen, "text", "image")]
    modules = {name: resolve_handle(handle, encoders) for name, handle in handles.items()}
    check_room(
        folder.parent, 2 * sum(map(bytes_of_folder, modules.values())), "The files of the registered model"
    )
    with written_aside(folder) as aside:
        aside.mkdir()
        for name, module in modules.items():
            shutil.copytree(module, aside / name)
        _save_graph(head.model, aside / "head")
        head.model.save(aside / "head.keras")
        write_json(aside / "head.json", configuration.head.model_dump(mode="json"))
        settings = {
            "format": FORMAT,
            "reader": _copy_reader(aside / "reader", seen),
            "labels": list(configuration.task.labels),
            "probabilities": list(probability_columns(configuration.task.labels)),
            "columns": [[column, one.served_type] for one in taken for column in one.columns],
            "kinds": [[one.name, one.settings(configuration)] for one in taken if one.name in seen],
            "widths": {tensor.name: tensor.shape[1] for tensor in head.model.inputs},
            "store_keys": featurizer.store_keys,
        }
        write_json(aside / SETTINGS, settings)
    return folder


def read_settings(folder: Path) -> dict[str, Any]:
    """What the package in `folder` says of itself, in the form of today's format.

    Raises DataError when there is no package that can be read.
    """
    try:
        settings = read_json(folder / SETTINGS)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is no packed model ({error}). Register one with: train.") from None
    check_format(folder / SETTINGS, settings["format"], FORMAT)
    return settings if settings["format"] > _FLAT else _nested(settings)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    text = {name: flat[name] for name in ("max_text_bytes", "sequence_length", "pair")}
    kinds = {"text": text | {"output": flat["text_output"]}, "image": flat["decoding"]}
    columns = [[name, kind_named(one).served_type] for one in kinds for name in columns_of(one)]
    seen = kinds_among(flat["widths"])
    return flat | {
        "columns": columns,
        "kinds": [[name, told] for name, told in kinds.items() if name in seen],
    }


def open_package(folder: Path, encode: Encode | None = None) -> Any:
    """The reader of the package in `folder`: its `predict` answers raw pairs.

    `encode`, if given, takes the place of the package's own encoders; a package of format 1 answers in a process of
    its own, with the code and encoders that it brings. Raises DataError when there is no package that can be read.
    """
    if (folder / _FIRST_FORMAT).is_file():
        return FirstFormat(folder)
    settings = read_settings(folder)
    # Named by its hash: whatever folder it comes from, the module of that name is the same.
    if str(folder / "reader") not in sys.path:
        sys.path.append(str(folder / "reader"))
    importlib.invalidate_caches()
    module = importlib.import_module(f"{settings['reader']}.serving.reader")
    return module.Reader(folder, _flat(encode) if encode and settings["format"] <= _FLAT else encode)


def _flat(encode: Encode) -> Callable[[Any, Any], Any]:
    """As a reader of the format before kinds calls it."""
    return lambda texts, images: encode({"text": texts, "image": images})


class FirstFormat:
    """A package of format 1, which answers in a process of its own: Parquet in, Parquet out."""

    def __init__(self, folder: Path) -> None:
        """`folder` lies in a registered model, whose copy of the code is two folders above."""
        self.settings = {"labels": list(LABELS)}
        self._folder, self._code = folder, folder.parent.parent / "code"
        if not self._code.is_dir():
            raise DataError(f"{folder} is a packed model of format 1, and its code is not in {self._code}.")

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """As `Reader.predict`. Raises DataError when the process fails."""
        import pandas as pd

        with tempfile.TemporaryDirectory() as scratch:
            asked, answered = Path(scratch) / "pairs.parquet", Path(scratch) / "answers.parquet"
            frame.to_parquet(asked)
            paths = map(str, (self._code, self._folder, asked, answered))
            # Isolated: neither this project nor the working folder is on its path.
            command = [sys.executable, "-I", "-c", _FIRST_READER, *paths]
            done = subprocess.run(command, capture_output=True, text=True, cwd=scratch, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                raise DataError(
                    f"The packed model {self._folder} (format 1) could not answer: {last}. Promote another version."
                )
            return pd.read_parquet(answered)


def _save_graph(model: "keras.Model", folder: Path) -> None:
    """Writes a head as a SavedModel that is called with a dictionary of its inputs, any number of rows."""
    import tensorflow as tf

    signature = {tensor.name: tf.TensorSpec([None, tensor.shape[1]], tf.float32) for tensor in model.inputs}
    graph = tf.Module()
    graph.weights = [weight.value for weight in model.weights]
    graph.__call__ = tf.function(
        lambda inputs: model(inputs, training=False), input_signature=[signature], autograph=False
    )
    tf.saved_model.save(graph, str(folder))
    # It holds a random number: without it equal weights give equal files.
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _copy_reader(folder: Path, kinds: Sequence[str]) -> str:
    """Copies the reader's files into `folder`, as a Python package named by their hash; its name."""
    digest, files = hashlib.sha256(), (*_READER, *(f"inputs/{name}.py" for name in kinds))
    for name in files:
        digest.update(name.encode() + b"\0" + (_CORE / name).read_bytes())
    package = folder / f"entailment_reader_{digest.hexdigest()[:16]}"
    for name in files:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_CORE / name, package / name)
    for inside in (package, package / "data", package / "inputs", package / "serving"):
        (inside / "__init__.py").touch()
    return package.name
