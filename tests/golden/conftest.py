"""The home that an earlier version wrote, laid where it was made."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from entailment.files import locked
from entailment.workspace import PROJECT
from tests.golden.make_home import ROOT
from tests.pipelines.command_process import run_command

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def golden() -> Iterator[Path]:
    """The folder ROOT as the earlier version left it; one process of tests at a time has it."""
    with locked(ROOT.with_suffix(".lock")):
        shutil.rmtree(ROOT, ignore_errors=True)
        with tarfile.open(HERE / "home.tar.xz") as packed:
            packed.extractall(ROOT.parent, filter="data")
        yield ROOT
        shutil.rmtree(ROOT)


@pytest.fixture
def golden_home(golden: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its home, as the one of this process."""
    monkeypatch.setenv("ENTAILMENT_HOME", str(golden / "home"))
    return golden / "home"


@pytest.fixture(scope="session")
def command(golden: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`command(ARGUMENTS)`: what run_pipeline.py does in that home."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ZENML_", "MLFLOW_"))}
    home = {
        "ENTAILMENT_HOME": str(golden / "home"),
        "ZENML_CONFIG_PATH": str(golden / "home" / "zenml-config"),
    }

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_command(PROJECT / "run_pipeline.py", arguments, golden, clean | home)

    return run
