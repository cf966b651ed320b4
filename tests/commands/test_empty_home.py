"""Commands before any run, and in a home that cannot be made."""

import json

from tests.pipelines.workspace import Workspace


def test_a_store_without_features_says_one_thing_pruned_or_not(tmp_path):
    workspace = Workspace(tmp_path)
    for arguments in (("cache",), ("cache", "--prune")):
        done = workspace.run(*arguments, config=False)
        assert (done.returncode, done.stdout) == (
            0,
            f"The feature store {workspace.home}/features is empty.\n",
        )


def test_a_home_that_cannot_be_made_is_no_empty_store(tmp_path):
    done = Workspace(tmp_path).run("cache", "--json", config=False, ENTAILMENT_HOME="/proc/none")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"].startswith("The home /proc/none cannot be made: ")
