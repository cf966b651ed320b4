"""Environment variables that must be set before ZenML, MLflow or TensorFlow is imported."""

import os
import sys
import tempfile
from pathlib import Path

from entailment.workspace import PROJECT, workspace

_DEFAULTS = {
    # Telemetry is off unless the user turned it on.
    "ZENML_ANALYTICS_OPT_IN": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Steps are found from here, whatever the working folder is.
    "ZENML_CUSTOM_SOURCE_ROOT": str(PROJECT),
    "ZENML_ENABLE_REPO_INIT_WARNINGS": "false",
    "ZENML_LOGGING_VERBOSITY": "INFO",
    "ZENML_ENABLE_RICH_TRACEBACK": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "KERAS_BACKEND": "tensorflow",
    # MLflow asks git for the commit, and does without where there is no git.
    "GIT_PYTHON_REFRESH": "quiet",
}


def prepare_environment() -> None:
    """Sets what the user has not set; gives libraries a place in our home where theirs cannot be written."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not sys.stderr.isatty():
        os.environ.setdefault("ZENML_LOGGING_COLORS_DISABLED", "true")
    # ZenML reads HOME through click, whose folder is ~/.config/zenml on Linux.
    if not os.environ.get("ZENML_CONFIG_PATH") and not _writable(_zenml_default()):
        os.environ["ZENML_CONFIG_PATH"] = str(workspace().home / "zenml-config")
    if not os.environ.get("MPLCONFIGDIR") and not _writable(Path.home() / ".config" / "matplotlib"):
        os.environ["MPLCONFIGDIR"] = str(workspace().home / "matplotlib")
    if not os.environ.get("KERAS_HOME") and not _writable(Path.home() / ".keras"):
        os.environ["KERAS_HOME"] = str(workspace().home / "keras")


def _zenml_default() -> Path:
    import click

    return Path(click.get_app_dir("zenml"))


def _writable(folder: Path) -> bool:
    """Whether a file can really be made in the folder; its nearest parent is tried where it is absent."""
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
