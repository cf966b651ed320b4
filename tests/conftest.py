"""What several folders of tests need."""

import os
from pathlib import Path

import pytest

from entailment.encoders.build import build_default_modules
from entailment.errors import DownloadError
from entailment.home import PROJECT, home

# Steps are imported in processes whose main module is no file of the project: ZenML asks for its root.
os.environ.setdefault("ZENML_CUSTOM_SOURCE_ROOT", str(PROJECT))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # two of them may not make one ZenML database at once
    os.environ["ZENML_CONFIG_PATH"] = str(home() / f"zenml-config-{worker}")


@pytest.fixture(scope="session")
def built_folder() -> Path:
    """The folder with the real built-in modules: the home's, where they are kept from one run to the next."""
    folder = home() / "encoders"
    try:
        build_default_modules(folder)
    except DownloadError as error:
        pytest.skip(str(error))
    return folder
