"""A database that an older MLflow wrote is upgraded, one of a newer MLflow refused in words."""

import sqlite3
import threading

import pytest

from entailment.errors import RegistryError
from tracking.database import wait_for_locked_databases
from tracking.experiment import prepare_experiment

HEAD = "select version_num from alembic_version"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENTAILMENT_HOME", str(tmp_path))
    import mlflow

    before = mlflow.get_tracking_uri()
    yield tmp_path
    mlflow.set_tracking_uri(before)


def write_database(file, revision):
    """One as the MLflow that knew that revision as its last wrote it."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(str(engine.url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.exec_driver_sql("insert into experiments (experiment_id, name) values (0, 'Default')")
    engine.dispose()


def version_of(file):
    with sqlite3.connect(file) as connection:
        return connection.execute(HEAD).fetchone()[0]


def test_an_older_database_is_upgraded(home):
    import mlflow

    write_database(home / "mlflow.db", "head-3")
    older = version_of(home / "mlflow.db")
    prepare_experiment("any")
    assert version_of(home / "mlflow.db") != older
    assert mlflow.get_experiment_by_name("any") is not None
    assert not list(home.glob(".mlflow*"))


def test_a_database_that_a_killed_process_had_begun_is_made_anew(home):
    import mlflow
    from sqlalchemy import create_engine

    half = home / ".mlflow.db.abc" / "mlflow.db"
    half.parent.mkdir()
    for file in (half, home / "mlflow.db"):
        engine = create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            connection.exec_driver_sql("create table _alembic_tmp_runs (id int)")
        engine.dispose()
    prepare_experiment("any")
    assert mlflow.get_experiment_by_name("any").artifact_location == f"{(home / 'mlartifacts').as_uri()}"
    assert not half.parent.exists()


def test_a_locked_database_is_waited_for(home):
    from mlflow import MlflowClient

    wait_for_locked_databases()
    prepare_experiment("any")
    with sqlite3.connect(home / "mlflow.db", check_same_thread=False, isolation_level=None) as other:
        other.execute("begin exclusive")
        unlocked = threading.Timer(6, lambda: other.execute("commit"))
        unlocked.start()
        run = MlflowClient().create_run(MlflowClient().get_experiment_by_name("any").experiment_id)
        assert not unlocked.is_alive() and run.info.status == "RUNNING"


def test_a_newer_database_is_refused_in_words_and_stays(home):
    write_database(home / "mlflow.db", "head")
    with sqlite3.connect(home / "mlflow.db") as connection:
        connection.execute("update alembic_version set version_num = 'next year'")
    before = (home / "mlflow.db").read_bytes()
    with pytest.raises(
        RegistryError, match=r"mlflow\.db is of another version of MLflow, probably a newer one"
    ):
        prepare_experiment("any")
    assert (home / "mlflow.db").read_bytes() == before
    assert not (home / "mlflow.before.db").exists()
