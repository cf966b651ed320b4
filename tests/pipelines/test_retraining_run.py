"""Data in, retraining and the gate through the command line, from an empty home to a champion that stays."""

import json
from pathlib import Path

import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.growing_data import SETTINGS, write_rows
from tests.pipelines.workspace import Workspace, write_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retraining")
    modules = write_random_modules(folder / "modules")
    write_settings(folder / "small.yaml", SETTINGS.format(**modules))
    return Workspace(folder)


@pytest.fixture
def add(workspace, tmp_path):
    def run(start, count, **options):
        file = write_rows(tmp_path / "rows.csv", start, count, **options)
        done = workspace.run("add", file, "--to", "grown", "--json", config=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def retrain(workspace, *options, code=0):
    done = workspace.run("retrain", "--json", *options)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done


def test_the_champion_moves_when_better_data_come_and_stays_when_worse_do(workspace, add):
    from mlflow import MlflowClient

    assert add(0, 60)["rows_added"] == 60
    first, done = retrain(workspace, "--epochs", "40")
    assert first["promoted"] and first["champion"] == "1", first["decision"]
    assert "split.method: hash instead of stratified" in done.stderr
    assert first["drift"]["not_measured"] == "there is no champion yet"
    assert first["features_encoded"] == 120
    told = {reason["name"]: reason["text"] for reason in first["decision"]["reasons"]}
    assert "of always answering" in told["baseline"]

    nothing, _ = retrain(workspace)
    assert nothing["new"] is False and "Nothing new in grown since version 1" in nothing["why"]
    assert retrain(workspace, "--check", code=3)[0]["new"] is False

    assert add(60, 120)["total"] == 180
    second, _ = retrain(workspace)
    assert second["features_encoded"] == 240
    assert second["promoted"] and second["champion"] == "2", second["decision"]
    assert second["drift"]["new_rows"] == 120

    assert add(180, 150, shuffled=True)["total"] == 330
    third, _ = retrain(workspace)
    assert not third["promoted"] and third["champion"] == "2" and third["model_version"] == "3"
    assert "better" in {reason["name"] for reason in third["decision"]["reasons"] if not reason["passed"]}

    client = MlflowClient(workspace.tracking_uri)
    aliases = client.get_registered_model("multimodal-entailment").aliases
    assert {name: str(version) for name, version in aliases.items()} == {"champion": "2", "challenger": "3"}
    tags = client.get_model_version("multimodal-entailment", "3").tags
    assert tags["promotion.outcome"] == "refused" and tags["promotion.how"] == "gate"
    assert tags["promotion.better"].startswith("not met: macro-F1")
    page = Path(client.download_artifacts(third["run_id"], "promotion.md")).read_text()
    assert "| better | **no** |" in page
    kept = {item.path for item in client.list_artifacts(third["run_id"])}
    assert {"drift.csv", "drift.md", "drift.json", "drift.png", "promotion.json", "promotion.md"} <= kept
    run = client.get_run(third["run_id"])
    assert run.data.tags["dataset"] == "grown" and run.data.tags["dataset.version"] == "3"
    assert run.data.params["split.method"] == "hash"
