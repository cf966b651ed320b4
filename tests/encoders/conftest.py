"""Modules that the tests of this folder encode with."""

from pathlib import Path

import pytest

from entailment.encoders.build import build_default_modules
from entailment.errors import DownloadError
from entailment.home import home
from tests.encoders.random_modules import write_lite0_module, write_random_modules

pytest.register_assert_rewrite("tests.encoders.encoder_contract")


@pytest.fixture(scope="session")
def random_modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_random_modules(tmp_path_factory.mktemp("modules"))


@pytest.fixture(scope="session")
def tiny_lite0(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_lite0_module(tmp_path_factory.mktemp("lite0"))


@pytest.fixture(scope="session")
def built_folder() -> Path:
    """The folder with the real built-in modules: the home's, where they are kept from one run to the next."""
    folder = home() / "encoders"
    try:
        build_default_modules(folder)
    except DownloadError as error:
        pytest.skip(str(error))
    return folder
