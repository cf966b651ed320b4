"""What a schedule is made of: the retraining's configuration, and what is looked at before each run."""

import pytest

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import RunConfiguration, load_configuration
from pipelines import scheduled
from pipelines.retraining import with_lasting_split


@pytest.fixture
def made(monkeypatch):
    """Makes a schedule; gives what `create_schedule` got."""

    def make(force):
        got = []
        monkeypatch.setattr(scheduled, "warn_of_other_data", lambda *asked: None)
        monkeypatch.setattr(scheduled, "create_schedule", lambda *arguments: got.extend(arguments))
        hook = {"retries": 5, "alert_url": "https://hooks.example/secret"}
        given = Configuration.model_validate({"dataset": {"source": "mine"}, "schedule": hook})
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


def test_test_rows_stay_test_rows_while_the_data_grow():
    assert with_lasting_split(Configuration()).split.method == "hash"


def test_the_webhook_is_told_to_airflow_only(made):
    _, _, _, (inputs, _), settings, _, told, _ = made(force=False)
    assert settings.alert_url.get_secret_value() == "https://hooks.example/secret"
    assert inputs.schedule.alert_url is None and "hooks.example" not in told


def test_a_forced_schedule_looks_at_nothing(made):
    *_, (_, force), _, check, _, _ = made(force=True)
    assert force and check == []
