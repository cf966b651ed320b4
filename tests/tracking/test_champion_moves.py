"""Who becomes champion, and that every decision leaves the same record, whoever made it."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from entailment.configuration.loading import load_configuration
from entailment.errors import RegistryError
from entailment.files import locked
from entailment.model.features import configured_featurizer
from entailment.model.head import build_head
from entailment.model.training import TrainedHead
from entailment.records.reading import Row
from entailment.serving.package import write_package
from entailment.workspace import workspace
from tests.encoders.random_modules import write_random_modules
from tracking import registry, runs, versions
from tracking.champion import load_champion, warn_of_other_data
from tracking.experiment import prepare_experiment, tracking_uri

MODEL = "of-tests"
REASONS = [{"name": "better", "passed": True, "text": "macro-F1 0.8 against 0.7", "figures": {"low": 0.01}}]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One database for all tests of this file: making it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENTAILMENT_HOME", str(tmp_path_factory.mktemp("home")))
        before = mlflow.get_tracking_uri()
        prepare_experiment(MODEL)
        mlflow.set_experiment(MODEL)
        yield MlflowClient(tracking_uri())
        mlflow.set_tracking_uri(before)


@pytest.fixture
def client(store):
    """A registry with versions 1, 2 and 3, the first of them champion."""
    store.create_registered_model(MODEL)
    for number in "123":
        with mlflow.start_run() as run:
            store.create_model_version(MODEL, f"{run.info.artifact_uri}/model", run.info.run_id)
        store.set_model_version_tag(MODEL, number, "dataset.sha256", f"data{number}")
    store.set_registered_model_alias(MODEL, "champion", "1")
    yield store
    store.delete_registered_model(MODEL)


def decision(promote, judged="1"):
    return {"promote": promote, "champion_version": judged, "why": "the numbers", "reasons": REASONS}


def aliases(client):
    found = client.get_registered_model(MODEL).aliases
    return {name: str(version) for name, version in found.items()}


def records(client, version):
    run_id = client.get_model_version(MODEL, version).run_id
    page = Path(client.download_artifacts(run_id, "promotion.md")).read_text()
    return json.loads(Path(client.download_artifacts(run_id, "promotion.json")).read_text())[
        "decisions"
    ], page


def tags(client, version):
    return client.get_model_version(MODEL, version).tags


def test_a_record_of_a_newer_version_stays_and_the_tags_hold_the_decision(client, caplog):
    run_id = client.get_model_version(MODEL, "2").run_id
    client.log_dict(run_id, {"format": 2, "decisions": []}, "promotion.json")
    registry.promote(MODEL, "2", "looked at it")
    assert aliases(client)["champion"] == "2" and tags(client, "2")["promotion.why"] == "looked at it"
    assert json.loads(Path(client.download_artifacts(run_id, "promotion.json")).read_text())["format"] == 2
    assert "is of format 2" in caplog.text and "newer version" in caplog.text


def test_who_was_not_judged_on_every_class_is_no_champion_by_itself(client, caplog):
    client.delete_registered_model_alias(MODEL, "champion")
    registry._give_alias(MODEL, client, "2", generated=False, lacking=["Implies"])
    assert aliases(client) == {"challenger": "2"}
    assert "Version 2 is no champion: its test split has no row of Implies" in caplog.text
    registry._give_alias(MODEL, client, "3", generated=False, lacking=[])
    assert aliases(client)["champion"] == "3"


def test_the_gate_and_a_person_leave_the_same_record(client):
    registry._follow(MODEL, client, "2", decision(True))
    assert aliases(client) == {"champion": "2"}
    registry.promote(MODEL, "3", "looked at it")
    registry.rollback(MODEL, "sarcasm")
    assert aliases(client) == {"champion": "2"}
    kept, page = records(client, "2")
    assert [(r["outcome"], r["how"], r["previous"]) for r in kept] == [
        ("promoted", "gate", "1"),
        ("rolled back", "person", "3"),
    ]
    assert kept[0]["reasons"] == REASONS and "macro-F1 0.8 against 0.7" in page and "sarcasm" in page
    (person,), _ = records(client, "3")
    assert set(person) == set(kept[0]) and person["why"] == "looked at it"
    assert tags(client, "2")["promotion.better"].startswith("met: macro-F1 0.8")
    assert tags(client, "2")["promotion.outcome"] == "rolled back"


def test_a_refused_version_is_challenger_with_its_reasons(client):
    registry._follow(MODEL, client, "2", decision(False))
    assert aliases(client) == {"champion": "1", "challenger": "2"}
    assert tags(client, "2")["promotion.outcome"] == "refused"


def test_a_champion_that_was_moved_meanwhile_stays(client):
    registry.promote(MODEL, "3", "by hand, while a retraining was going")
    registry._follow(MODEL, client, "2", decision(True, judged="1"))
    assert aliases(client)["champion"] == "3"
    assert "was version 1 when it was judged and is 3 now" in tags(client, "2")["promotion.why"]


def test_the_first_champion_and_a_second_call(client):
    client.delete_registered_model_alias(MODEL, "champion")
    for _ in range(2):
        registry._follow(MODEL, client, "1", decision(True, judged=""))
    assert aliases(client) == {"champion": "1"} and len(records(client, "1")[0]) == 1


@pytest.mark.parametrize("cut_off", ["client.set_registered_model_alias", "registry._remember"])
def test_a_move_that_was_cut_off_is_finished_once(client, cut_off, monkeypatch):
    client.set_registered_model_alias(MODEL, "challenger", "2")
    owner, name = cut_off.split(".")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr({"client": client, "registry": registry}[owner], name, killed)
        registry._follow(MODEL, client, "2", decision(True))
    registry.catch_up(MODEL, client)
    registry._follow(MODEL, client, "2", decision(True))
    assert aliases(client) == {"champion": "2"} and len(records(client, "2")[0]) == 1
    assert [move["version"] for move in registry.champion_history(MODEL, client)] == ["2"]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_registration_that_was_cut_off_is_finished_or_removed(client, is_held):
    """Version 4 has the alias already, 5 has not; another process may still be at them."""
    registry.promote(MODEL, "2", "looked at it")
    for _ in range(2):
        run = client.create_run(mlflow.get_experiment_by_name(MODEL).experiment_id)
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(MODEL, source, run.info.run_id, tags={"whole": "false"})
    registry._follow(MODEL, client, "4", decision(True, judged="2"))
    with locked(workspace().run_lock) if is_held else nullcontext():
        registry.rollback(MODEL, "it was wrong")
    assert aliases(client)["champion"] == "2"
    versions = {version.version for version in client.search_model_versions(f"name='{MODEL}'")}
    assert ("5" in map(str, versions)) == is_held
    expected = {"whole": "false"} if is_held else {"whole": "true", "retrained": "true"}
    assert {name: tags(client, "4").get(name) for name in expected} == expected


def killed(*arguments):
    raise OSError("killed")


def test_the_history_of_moves_fits_into_one_tag_whatever_the_reasons_are(client):
    long = "better on Implies; " + "\N{GRINNING FACE}" * 5000
    for number in range(30):
        registry.promote(MODEL, "23"[number % 2], f"{number}: {long}" if number % 3 else f"{number}: short")
        assert len(client.get_registered_model(MODEL).tags[registry._HISTORY]) <= 5000
    history = registry.champion_history(MODEL, client)
    assert [move["why"].partition(":")[0] for move in history] == [str(n) for n in range(30)][-len(history) :]
    assert len(history) >= 2 and history[-3]["why"] == "27: short"
    assert history[-1]["why"].startswith("29: better on Implies") and history[-1]["why"].endswith("…")
    whole = tags(client, "3")["promotion.why"]
    assert whole.startswith(f"29: {long}"[:1000]) and whole.endswith("…") and len(whole) < 5000


def test_twenty_short_moves_are_remembered(client):
    for number in range(24):
        registry.promote(MODEL, "23"[number % 2], f"{number}")
    assert [move["why"] for move in registry.champion_history(MODEL, client)] == [
        str(n) for n in range(4, 24)
    ]


def test_a_champion_by_rollback_is_gone_back_to_when_its_first_move_is_forgotten(client):
    moves = [{"version": "2", "how": "rollback", "by": "", "at": "", "why": ""}]
    client.set_registered_model_tag(MODEL, "champion.history", json.dumps(moves))
    client.set_registered_model_alias(MODEL, "champion", "2")
    registry.promote(MODEL, "3", "looked at it")
    assert registry.rollback(MODEL, "back")["version"] == "2"
    # MLflow shows no tag that is called as its own are.
    assert all(name.startswith("mlflow.") for name in client.get_registered_model(MODEL).tags)


def test_an_epoch_is_logged_once(store):
    with mlflow.start_run() as run:
        for epoch in (0, 1, 0, 1, 2):
            runs.log_epoch(epoch, {"train/loss": 1.0 / (epoch + 1), "lr": 0.1})
    for name in ("train/loss", "lr"):
        history = store.get_metric_history(run.info.run_id, name)
        assert [point.step for point in history] == [0, 1, 2]


def test_a_table_for_people_runs_no_formula(store):
    texts = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "a\r=1", ""]
    with mlflow.start_run() as run:
        runs.log_table(pd.DataFrame({"text": texts, "difference": -0.5}), "listed", "")
    read = pd.read_csv(store.download_artifacts(run.info.run_id, "listed.csv"), keep_default_na=False)
    assert read["text"].tolist() == [*(f"'{text}" for text in texts[:6]), *texts[6:]]
    assert set(read["difference"]) == {-0.5}


def test_another_split_of_the_same_data_is_another_input_with_its_own_counts(store):
    """MLflow keeps what it was told first of a name and a digest. A class may be called as a count of ours is."""
    tags, found = {"dataset": "mine", "dataset.sha256": "a" * 64}, []
    for rows in (8, 6, 8):
        with mlflow.start_run() as run:
            runs.log_datasets(tags, {"train": {"yes": rows, "rows": 2}, "test": {"yes": 1, "rows": 1}})
        inputs = store.get_run(run.info.run_id).inputs.dataset_inputs
        found.append({entry.tags[0].value: entry.dataset for entry in inputs})
    for splits, rows in zip(found, (8, 6, 8), strict=True):
        assert json.loads(splits["train"].profile) == {"rows": rows + 2, "classes": {"yes": rows, "rows": 2}}
    first, other, again = (splits["train"].digest for splits in found)
    assert first == again != other and len({splits["test"].digest for splits in found}) == 1


@pytest.mark.parametrize(
    "names", [("test/macro_f1", "test/macro_f1_low"), ("test_macro_f1", "test_macro_f1_ci_low")]
)
def test_figures_are_read_under_the_names_of_older_versions_too(client, names):
    for name, value in zip(names, ("0.75", "0.5"), strict=True):
        client.set_model_version_tag(MODEL, "1", name, value)
    found = versions.registered_versions(MODEL)[-1]
    assert (found.version, found.macro_f1, found.macro_f1_low, found.accuracy) == (1, 0.75, 0.5, None)


def test_a_version_is_known_by_its_data(client):
    assert registry.version_trained_on(MODEL, "data1", "") == "1"
    assert registry.version_trained_on(MODEL, "data2", "") == ""
    client.set_model_version_tag(MODEL, "2", "retrained", "true")
    assert registry.version_trained_on(MODEL, "data2", "") == "2"
    assert (
        registry.version_trained_on(MODEL, "data2", "images") == "2"
    )  # an earlier program kept nothing of images
    for number, images in (("1", "images"), ("2", "")):
        client.set_model_version_tag(MODEL, number, "dataset.images.sha256", images)
    assert registry.version_trained_on(MODEL, "data1", "images") == "1"
    assert registry.version_trained_on(MODEL, "data1", "others") == ""
    assert registry.version_trained_on(MODEL, "data1", "") == "1"
    assert registry.version_trained_on(MODEL, "data2", "images") == ""  # trained on texts alone
    with pytest.raises(RegistryError, match="already"):
        registry.promote(MODEL, "1", "again")


def test_other_data_under_the_same_name_are_said(client, caplog):
    for key, value in (("dataset", "mine"), ("data.generated", "false")):
        client.set_model_version_tag(MODEL, "1", key, value)
    for same in ("mine", "mine@3"):
        warn_of_other_data(MODEL, same)
    warn_of_other_data("no-champion", "yours")
    assert not caplog.messages
    warn_of_other_data(MODEL, "/data/yours.csv")
    (said,) = caplog.messages
    assert "version 1, was trained on mine, and this is yours.csv" in said and "--set task.name=NAME" in said
    client.set_model_version_tag(MODEL, "1", "data.generated", "true")
    warn_of_other_data(MODEL, "/data/yours.csv")
    assert len(caplog.messages) == 1


def test_a_run_that_has_registered_is_found_again(client, monkeypatch):
    run_id = client.get_model_version(MODEL, "2").run_id
    client.set_model_version_tag(MODEL, "2", "register.code", "this")
    monkeypatch.setattr(registry, "folder_here", lambda location: None)  # the files are elsewhere
    with mlflow.start_run(run_id=run_id):
        assert registry._same_version(MODEL, client, "this") == "2"
        assert registry._same_version(MODEL, client, "another") == ""
    assert registry._same_version(MODEL, client, "this") == ""


def test_a_version_without_files_is_named(client):
    with (
        pytest.raises(RegistryError, match="files of version 2 cannot be read"),
        registry.version_files(MODEL, "2"),
    ):
        pass


def test_a_move_that_a_person_s_command_did_not_finish_is_remembered_by_the_next(client, monkeypatch):
    registry.promote(MODEL, "2", "looked at it")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr(registry, "_remember", killed)
        registry.promote(MODEL, "3", "looked at it")
    assert aliases(client)["champion"] == "3"
    with pytest.raises(RegistryError, match="is the champion already"):
        registry.promote(MODEL, "3", "looked at it")
    assert [move["version"] for move in registry.champion_history(MODEL, client)] == ["2", "3"]
    assert registry.rollback(MODEL, "back")["version"] == "2"


SERVER = """
from mlflow.server import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def server(store, tmp_path):
    """MLflow's own server, in a process of its own, on the same database; artifacts go through it.

    Gives what makes MLflow here its client, as soon as it answers.
    """
    told = {"FILE_STORE": tracking_uri(), "ARTIFACT_ROOT": "mlflow-artifacts:/", "SERVE_ARTIFACTS": "true"}
    told["ARTIFACT_DESTINATION"] = (tmp_path / "served").as_uri()
    variables = os.environ | {f"_MLFLOW_SERVER_{name}": value for name, value in told.items()}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield lambda: mlflow.set_tracking_uri(f"http://127.0.0.1:{int(process.stdout.readline())}")
        process.terminate()
    mlflow.set_tracking_uri(tracking_uri())
    mlflow.set_experiment(MODEL)


def small_package(folder):
    """A packed model of texts with random weights, and its configuration."""
    modules = write_random_modules(folder / "modules")
    told = {"inputs": "text", "encoders.text.encoder": modules["text"], "task.name": "stances"}
    told |= {"encoders.text.preprocessor": modules["preprocessor"], "encoders.text.sequence_length": 16}
    configuration = load_configuration(None, overrides=told)
    featurizer = configured_featurizer(configuration, folder, None)
    sample = featurizer.rows([Row(("", ""), {"text": ("a", "b")}, 0)])
    head = build_head({name: array.shape[1] for name, array in sample.items()}, configuration.head, 3)
    return write_package(folder / "package", TrainedHead(head, 0), configuration, folder), configuration


@pytest.mark.slow
def test_a_champion_that_a_server_has_leaves_no_copy_behind(server, tmp_path, monkeypatch):
    package, configuration = small_package(tmp_path)
    server()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    source = {"name": "mine", "sha256": "0" * 64, "generated": False, "images": None}
    rows = {"id_1": list("abc"), "id_2": list("xyz"), "label": list(configuration.task.labels)}
    splits = pd.DataFrame(rows | {"split": "test"})
    mlflow.set_experiment("stances")
    shown = registry.Shown("text focal mine@2", "What it is.", "# Card", 2)
    for number in "12":
        with mlflow.start_run() as run:
            for epoch, value in ((1, 0.1), (2, 0.5), (3, 0.3)):
                mlflow.log_metric("val/macro_f1", value, step=epoch)
            mlflow.log_metric("test/macro_f1", 0.4)
            version = registry.register(
                "stances", package, shown, splits, source, {"sha256": ""}, {"metrics": {}}, code="1"
            )
            assert version == number
    (logged,) = MlflowClient().get_run(run.info.run_id).outputs.model_outputs
    model = MlflowClient().get_logged_model(logged.model_id)
    figures = {metric.key: metric.value for metric in model.metrics}
    assert figures == {"val/macro_f1": 0.5, "test/macro_f1": 0.4} and model.name == "text focal mine@2"
    assert len(MlflowClient().get_metric_history(run.info.run_id, "val/macro_f1")) == 3
    assert MlflowClient().get_model_version("stances", "2").description == "What it is.\n\n# Card"
    asked, answers = pd.DataFrame({"text_1": ["a bridge"], "text_2": ["the bridge"]}), []
    for number in "121":
        with load_champion(number, source, configuration) as (champion, why):
            assert why == "" and len(champion.pairs["test"]) == 3
            answers.append(champion.predictor.predict(asked)["p_implies"].item())
    assert np.isfinite(answers[0]) and answers == answers[:1] * 3
    registry.promote("stances", "2", "looked at it")
    assert registry.rollback("stances", "sarcasm") == {"version": "1", "previous": "2"}
    run = MlflowClient().get_model_version("stances", "1").run_id
    kept = mlflow.artifacts.load_dict(f"runs:/{run}/promotion.json")["decisions"]
    assert [one["outcome"] for one in kept] == ["promoted", "rolled back"]
    elsewhere = MlflowClient()
    half = elsewhere.get_model_version("stances", "2").run_id
    elsewhere.set_model_version_tag("stances", "2", "whole", "false")
    for status, versions_left in (("RUNNING", ["1", "2"]), ("KILLED", ["1"])):
        elsewhere.update_run(half, status)
        registry.catch_up("stances", elsewhere)
        found = elsewhere.search_model_versions("name='stances'")
        assert sorted(str(one.version) for one in found) == versions_left
    left = [*(tmp_path / "temporary").iterdir(), *workspace().scratch.iterdir()]
    assert left == []


def test_versions_that_nobody_needs_are_pruned_with_their_files(client, monkeypatch):
    for version in "32":
        registry.promote(MODEL, version, "looked at it")
    runs_of = {str(one.version): one.run_id for one in client.search_model_versions(f"name='{MODEL}'")}
    client.set_model_version_tag(MODEL, "1", "test/macro_f1", "0.5")
    client.log_text(runs_of["1"], "x" * 1000, "page.md")
    files = Path(client.get_run(runs_of["1"]).info.artifact_uri.removeprefix("file://"))
    *_, oldest = versions.registered_versions(MODEL)
    assert (oldest.version, oldest.macro_f1, oldest.accuracy, oldest.bytes) == (1, 0.5, None, 1000)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr(MlflowClient, "delete_model_version", killed)
        versions.prune_versions(MODEL)
    assert versions.prune_versions(MODEL).versions == [1]
    assert versions.prune_versions(MODEL) == versions.Pruned([], 0)
    assert not files.exists() and client.get_run(runs_of["1"]).info.lifecycle_stage == "deleted"
    assert [one.version for one in versions.registered_versions(MODEL)] == [3, 2]
    assert registry.rollback(MODEL, "back")["version"] == "3"
