"""What a schedule is made of: the retraining's configuration, and what is looked at before each run."""

import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import RunConfiguration, load_configuration
from entailment.data.sources import locate
from entailment.encoders.handles import resolve_handle
from pipelines import scheduled
from pipelines.preparation import with_absolute_paths
from pipelines.retraining import with_lasting_split


@pytest.fixture
def made(monkeypatch):
    """Makes a schedule; gives what `create_schedule` got."""

    def make(force, **settings):
        got = []
        monkeypatch.setattr(scheduled, "warn_of_other_data", lambda *asked: None)
        monkeypatch.setattr(scheduled, "create_schedule", lambda *arguments: got.extend(arguments))
        hook = {"retries": 5, "alert_url": "https://hooks.example/secret"}
        given = Configuration.model_validate(settings or {"dataset": {"source": "mine"}, "schedule": hook})
        scheduled.schedule_retraining(
            RunConfiguration(given, {"tags": ["nightly"]}), "often", "0 3 * * 1", force
        )
        return got

    return make


def test_the_check_looks_at_what_the_steps_read(made, tmp_path):
    _, _, pipeline, (inputs, force), settings, check, told, options = made(force=False)
    assert pipeline is scheduled.retraining and not force
    assert check[-2:] == ["retrain", "--check"]
    (tmp_path / "told.yaml").write_text(told)
    assert load_configuration(tmp_path / "told.yaml") == inputs
    assert settings.retries == 5 and options == {"tags": ["nightly"]}


def test_what_is_scheduled_means_the_same_in_another_working_directory(made, tmp_path, monkeypatch):
    here = tmp_path / "here"
    for folder in ("modules/text", "bare", "pictures", "../elsewhere/bare"):
        (here / folder).mkdir(parents=True)
    (here / "modules" / "text" / "saved_model.pb").touch()
    (here / "bare" / "saved_model.pb").touch()
    (here / "this-month.csv").write_text("id_1\n")
    (here / "now.csv").symlink_to("this-month.csv")
    monkeypatch.chdir(here)
    text = {"encoder": "../here/modules/text", "preprocessor": "bare"}
    given = {"text": text, "image": {"encoder": "keras:ResNet50V2@weights.h5"}}
    dataset = {"source": "now.csv", "images": "pictures"}
    _, _, _, (inputs, _), _, _, told, _ = made(force=False, dataset=dataset, encoders=given)
    (tmp_path / "told.yaml").write_text(told)
    monkeypatch.chdir(tmp_path / "elsewhere")
    read = load_configuration(tmp_path / "told.yaml")
    assert read == inputs == with_absolute_paths(read)
    assert resolve_handle(read.encoders.text.encoder, tmp_path) == here / "modules" / "text"
    assert resolve_handle(read.encoders.text.preprocessor, tmp_path) == here / "bare"
    assert read.encoders.image.encoder == f"keras:ResNet50V2@{here / 'weights.h5'}"
    # A link is followed when the schedule runs.
    assert read.dataset.source == str(here / "now.csv")
    found = locate(read.dataset, read.tweets, tmp_path)
    assert (found.csv, found.images) == (here / "this-month.csv", here / "pictures")


def test_names_mean_themselves_in_every_working_directory():
    assert with_absolute_paths(Configuration()) == Configuration()


def test_test_rows_stay_test_rows_while_the_data_grow():
    assert with_lasting_split(Configuration()).split.method == "hash"


def test_the_webhook_is_told_to_airflow_only(made):
    _, _, _, (inputs, _), settings, _, told, _ = made(force=False)
    assert settings.alert_url.get_secret_value() == "https://hooks.example/secret"
    assert inputs.schedule.alert_url is None and "hooks.example" not in told


def test_a_forced_schedule_looks_at_nothing(made):
    *_, (_, force), _, check, _, _ = made(force=True)
    assert force and check == []
