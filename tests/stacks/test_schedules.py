"""What is said of a schedule, with stand-ins for Airflow and ZenML."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from stacks import schedules

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
