"""Environment variables that must be set before ZenML, MLflow or TensorFlow is imported.

What the user has set for other projects steers nothing of ours: his tracking server, active stack, Keras backend.
What he sets for this one counts; the documents name those variables.
"""

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from entailment.workspace import PROJECT, workspace

_DEFAULTS: Final = {
    # Telemetry is off unless the user turned it on.
    "ZENML_ANALYTICS_OPT_IN": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ZENML_LOGGING_VERBOSITY": "INFO",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # MLflow asks git for the commit, and does without where there is no git.
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set where the user has not set them."""
_FIXED: Final = {
    # Steps are found from here, whatever the working folder is.
    "ZENML_CUSTOM_SOURCE_ROOT": str(PROJECT),
    "ZENML_ENABLE_REPO_INIT_WARNINGS": "false",
    "ZENML_ENABLE_RICH_TRACEBACK": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # What computes, and how: other values give other numbers or do not run.
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # Pictures look the same for everybody.
    "MATPLOTLIBRC": os.devnull,
}
"""Set whatever the user has set."""
_STEERING: Final = (
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"),
    *("MLFLOW_EXPERIMENT_NAME", "MLFLOW_ACTIVE_MODEL_ID", "MLFLOW_BACKEND_STORE_URI"),
    *("MLFLOW_REGISTRY_STORE_URI", "MLFLOW_READ_REPLICA_BACKEND_STORE_URI", "MLFLOW_DEFAULT_ARTIFACT_ROOT"),
    *("TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "TF_DETERMINISTIC_OPS", "XLA_FLAGS"),
    "MPL_IGNORE_SYSTEM_FONTS",
)
"""Taken away: they name other stores and runs, or change what is computed."""
FOLDERS: Final = ("ZENML_CONFIG_PATH", "MPLCONFIGDIR", "KERAS_HOME", "TFHUB_CACHE_DIR")
"""Folders of libraries that the user may name; they are the same for every process of ours, wherever it works."""
_OF_ZENML: Final = "ZENML_"
"""Taken away with all that begins so, where the local stack is used."""
_KEPT: Final = ("ZENML_CONFIG_PATH", "ZENML_LOGGING_COLORS_DISABLED", *_DEFAULTS, *_FIXED)


def prepare_environment(*, keep_zenml: bool = False) -> None:
    """Sets what our process needs, and takes away what would steer it elsewhere.

    With `keep_zenml` ZenML's variables stay: the user means his own ZenML (`--stack NAME`), or ZenML itself has set
    them for a step. What ZenML and Keras keep lies in the home, unless ZENML_CONFIG_PATH or KERAS_HOME name another
    folder.
    """
    for name in list(os.environ):
        of_zenml = name.startswith(_OF_ZENML) and name not in _KEPT and not keep_zenml
        if name in _STEERING or of_zenml:
            del os.environ[name]
    os.environ.update(_FIXED)
    for name in FOLDERS:
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().absolute())
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not sys.stderr.isatty():
        os.environ.setdefault("ZENML_LOGGING_COLORS_DISABLED", "true")
    home = workspace().home
    # His own database may be of another ZenML, which ours would change for good.
    os.environ["ZENML_CONFIG_PATH"] = os.environ.get("ZENML_CONFIG_PATH") or str(home / "zenml-config")
    if "?" in str(Path(os.environ["ZENML_CONFIG_PATH"]).resolve()):
        # ZenML resolves its folder, and SQLAlchemy takes what follows for options.
        database = Path(os.environ["ZENML_CONFIG_PATH"]) / "local_stores" / "default_zen_store" / "zenml.db"
        database.parent.mkdir(parents=True, exist_ok=True)
        os.environ |= {"ZENML_STORE_TYPE": "sql", "ZENML_STORE_URL": f"sqlite:///{database}"}
    if not os.environ.get("MPLCONFIGDIR") and not _writable(Path.home() / ".config" / "matplotlib"):
        os.environ["MPLCONFIGDIR"] = str(home / "matplotlib")
    if not os.environ.get("KERAS_HOME"):
        os.environ["KERAS_HOME"] = str(_keras_home(home))


def _keras_home(home: Path) -> Path:
    """A folder for Keras without the user's settings (`keras.json`), but with the weights that he has."""
    models = home / "keras" / "models"
    with suppress(OSError):
        his = sorted((Path.home() / ".keras" / "models").glob("*"))
        if his:
            models.mkdir(parents=True, exist_ok=True)
        for file in his:
            with suppress(FileExistsError):
                (models / file.name).symlink_to(file)
        for link in models.glob("*"):
            if link.is_symlink() and not link.exists():
                link.unlink(missing_ok=True)
    return home / "keras"


def _writable(folder: Path) -> bool:
    """Whether a file can really be made in the folder; its nearest parent is tried where it is absent."""
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
