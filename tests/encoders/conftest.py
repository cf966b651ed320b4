"""Modules that the tests of this folder encode with."""

import pytest

from tests.encoders.random_modules import write_lite0_module, write_random_modules

pytest.register_assert_rewrite("tests.encoders.encoder_contract")


@pytest.fixture(scope="session")
def random_modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_random_modules(tmp_path_factory.mktemp("modules"))


@pytest.fixture(scope="session")
def tiny_lite0(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_lite0_module(tmp_path_factory.mktemp("lite0"))
