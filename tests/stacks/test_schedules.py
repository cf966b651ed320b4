"""What is said of a schedule, with stand-ins for Airflow and ZenML."""

import sqlite3
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from entailment.errors import ScheduleError
from stacks import schedules, step_entrypoint
from summaries.results import schedules_table

SCHEDULE = SimpleNamespace(name="home:often", cron_expression="0 0 1 1 *", pipeline_id=None)
NEW_YEAR = f"{datetime.now(UTC).year + 1}-01-01T00:00:00+00:00"


@pytest.fixture(autouse=True)
def zenml(monkeypatch):
    client = SimpleNamespace(get_pipeline=lambda given: SimpleNamespace(name="retraining"))
    monkeypatch.setattr(schedules, "Client", lambda: client)
    monkeypatch.setattr(schedules, "_full", lambda name: f"home:{name}")
    monkeypatch.setattr(schedules, "_runs", lambda schedule, size: [])


@pytest.mark.parametrize(
    ("dag", "state", "next_run"),
    [
        (
            {"is_paused": False, "next_dagrun_run_after": "2031-02-03T05:00:00.5+01:00"},
            "active",
            "2031-02-03T04:00:00+00:00",
        ),
        ({"is_paused": False, "next_dagrun_run_after": None}, "active", NEW_YEAR),
        ({"is_paused": True, "next_dagrun_run_after": "2031-02-03T05:00:00Z"}, "paused", None),
        (None, "lost", None),
    ],
)
def test_the_next_run_is_airflow_s_or_the_expression_s(dag, state, next_run):
    api = SimpleNamespace(dag=lambda name: dag, runs=lambda name: [])
    found = schedules._state(SCHEDULE, api)
    assert (found.name, found.state, found.next_run) == ("often", state, next_run)


def test_without_airflow_the_expression_says_it():
    found = schedules._state(SCHEDULE, None)
    assert (found.state, found.next_run, found.last_run) == ("unknown", NEW_YEAR, None)


@pytest.fixture
def user_s_zenml(monkeypatch, tmp_path):
    """The user's own ZenML, of a version that is not ours, with two schedules of this home and one of another."""
    monkeypatch.setenv("HOME", str(tmp_path))
    database = tmp_path / ".config" / "zenml" / "local_stores" / "default_zen_store" / "zenml.db"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("create table schedule (name text, cron_expression text, of_next_year text)")
        names = [("home:often",), ("home:deleted",), ("other:mine",)]
        connection.executemany("insert into schedule values (?, '0 3 * * 1', null)", names)
    (tmp_path / "dags" / "often").mkdir(parents=True)
    monkeypatch.setattr(schedules, "dags_folder", lambda: tmp_path / "dags")
    monkeypatch.setattr(schedules, "_all", list)
    return database


def test_schedules_that_an_earlier_version_made_are_listed_and_deleted(user_s_zenml, monkeypatch):
    def no_airflow():
        raise ScheduleError("not there")

    before = user_s_zenml.read_bytes()
    monkeypatch.setattr(schedules, "AirflowApi", no_airflow)
    (earlier,), _ = schedules.list_schedules()
    assert (earlier.name, earlier.cron, earlier.state) == ("often", "0 3 * * 1", "earlier")
    assert "schedule --delete often, then schedule --cron '0 3 * * 1' --name often" in schedules_table(
        [earlier]
    )
    with pytest.raises(ScheduleError, match="An earlier version made 'often' in your own ZenML"):
        schedules.pause_schedule("often", paused=True)
    api = SimpleNamespace(dag=lambda name: None)
    monkeypatch.setattr(schedules, "AirflowApi", lambda: api)
    monkeypatch.setattr(schedules, "_CALM", 0)
    schedules.delete_schedule("often")
    assert schedules.list_schedules()[0] == [] and user_s_zenml.read_bytes() == before
    assert list(user_s_zenml.parent.iterdir()) == [user_s_zenml]


def test_a_step_of_an_earlier_version_s_schedule_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("ZENML_CONFIG_PATH", str(tmp_path / "home" / "zenml-config"))
    monkeypatch.setenv("ZENML_STORE_URL", f"sqlite:///{tmp_path}/home/zenml-config/local_stores/zenml.db")
    step_entrypoint._refuse_foreign_zenml()
    monkeypatch.setenv("ZENML_STORE_URL", f"sqlite:///{tmp_path}/.config/zenml/zenml.db")
    with pytest.raises(ScheduleError, match="An earlier version made this schedule"):
        step_entrypoint._refuse_foreign_zenml()
