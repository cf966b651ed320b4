"""Two homes with one store on S3: what one wrote, encoded or added the other has."""

import re
import shutil

import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import Workspace
from tests.s3 import s3_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """Two workspaces, each with the same data in its own place, and the variables of the store that they share."""
    folder = tmp_path_factory.mktemp("homes")
    first, second = (Workspace(folder / name) for name in ("first", "second"))
    for home in (first, second):
        home.folder.mkdir()
    first.write_config(write_random_modules(folder / "modules"))
    shutil.copytree(first.folder / "data", second.folder / "data")
    settings = (first.folder / "small.yaml").read_text()
    (second.folder / "small.yaml").write_text(settings.replace(str(first.folder), str(second.folder)))
    with s3_server() as variables:
        yield first, second, variables | {"ENTAILMENT_STORE": "s3://bucket/shared"}


def encoded(home, *arguments, **variables):
    done = home.run(*arguments, **variables)
    assert done.returncode == 0, done.stderr
    stored, new = re.search(r"Features +(\d+) from the store .*, (\d+) encoded", done.stdout).groups()
    written = "Records taken from the shared store" not in done.stderr
    return int(stored), int(new), written, re.search(r"macro-F1 .*", done.stdout).group()


def test_nothing_is_written_or_encoded_twice_and_figures_are_the_same(homes):
    first, second, store = homes
    stored, new, written, figures = encoded(first, **store)
    assert stored == 0 and new > 100 and written
    assert encoded(second, **store) == (new, 0, False, figures)


def test_a_data_set_that_one_grows_is_there_for_the_other(homes):
    first, second, store = homes
    images = ("--images", str(first.folder / "data" / "images"))
    added = first.run("add", str(first.folder / "data" / "pairs.csv"), "--to", "grown", *images, **store)
    assert added.returncode == 0, added.stderr
    own = ("--dataset", "grown", "--set", "dataset.images=null")
    assert encoded(second, *own, **store)[1] == 0
    assert (second.home / "datasets" / "grown" / "log.json").is_file()


def test_without_the_store_a_run_says_what_is_wrong(homes):
    _, second, store = homes
    gone = second.run("--no-cache", **store | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert gone.returncode == 1
    assert "The shared store s3://bucket/shared cannot be used" in gone.stderr
    assert "Traceback" not in gone.stderr.partition("The shared store")[2]
