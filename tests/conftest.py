"""What several folders of tests need."""

import os
from pathlib import Path

import pytest

from entailment.encoders.build import build_default_modules
from entailment.errors import DownloadError
from entailment.workspace import PROJECT, workspace

# Steps are imported in processes whose main module is no file of the project: ZenML asks for its root.
os.environ.setdefault("ZENML_CUSTOM_SOURCE_ROOT", str(PROJECT))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # two of them may not make one ZenML database at once
    os.environ["ZENML_CONFIG_PATH"] = str(workspace().home / f"zenml-config-{worker}")


@pytest.fixture(scope="session")
def built_folder() -> Path:
    """The folder with the real built-in modules: the home's, where they are kept from one run to the next."""
    folder = workspace().encoders
    try:
        build_default_modules(folder)
    except DownloadError as error:
        pytest.skip(str(error))
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest begins first, so that files run side by side end together."""

    def limit(item: pytest.Item) -> int:
        mark = item.get_closest_marker("timeout")
        return mark.args[0] if mark else 0

    longest: dict[Path, int] = {}
    for item in items:
        longest[item.path] = max(longest.get(item.path, 0), limit(item))
    items.sort(key=lambda item: -longest[item.path])
