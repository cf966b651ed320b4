"""A database that an older MLflow wrote is upgraded, one of a newer MLflow refused in words."""

import sqlite3

import pytest

from entailment.errors import RegistryError
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
    """An empty one as the MLflow that knew that revision as its last wrote it."""
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
