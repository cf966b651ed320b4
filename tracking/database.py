"""MLflow's database in the home: whole, and at the version that this MLflow reads."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from entailment.errors import RegistryError
from entailment.files import PATIENCE, holds_rows, locked, made_once, written_aside
from entailment.workspace import workspace

_LOG = logging.getLogger(__name__)
_OUT_OF_DATE: Final = "out-of-date database schema"
"""What MLflow says of a database that an older or a newer one wrote."""


def wait_for_locked_databases() -> None:
    """Has every SQLite database of this process wait while somebody else has locked it; MLflow waits for 5 s."""
    from sqlalchemy import Engine, event

    event.listen(Engine, "connect", _be_patient)


def _be_patient(connection: Any, _: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")


def is_of_another_version(error: Exception) -> bool:
    """Whether MLflow means that with an error."""
    return _OUT_OF_DATE in str(error)


def make(database: Path) -> None:
    """Makes the database where there is none, or only one that a killed process had begun.

    MLflow makes it in several transactions, and reads none that lacks one of them: so it is made aside.
    """
    artifacts = (database.parent / "mlartifacts").as_uri()
    made_once(database, _is_whole, lambda aside: _make(aside, artifacts))


def _is_whole(database: Path) -> bool:
    """MLflow writes a first experiment at the end."""
    return holds_rows(database, ("alembic_version", "experiments"))


def _make(database: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"sqlite:///{database}", artifacts).engine.dispose()


def upgrade(database: Path) -> None:
    """Brings a database that an older MLflow wrote to today's version: aside, then renamed; the old one is kept.

    Raises RegistryError where a newer MLflow wrote it, or a run is going in the home.
    """
    try:
        with locked(workspace().run_lock, wait=False):
            _upgrade(database)
    except BlockingIOError:
        raise RegistryError(
            f"The MLflow database {database} is of an older version and has to be upgraded, but a run is going in its"
            " home. Run again when it has ended."
        ) from None


def _upgrade(database: Path) -> None:
    from alembic.util.exc import CommandError
    from mlflow.store.db.utils import _upgrade_db
    from mlflow.version import VERSION
    from sqlalchemy import create_engine

    before = database.with_suffix(".before.db")
    with written_aside(database) as aside:
        _copy(database, aside)
        engine = create_engine(f"sqlite:///{aside}")
        try:
            _upgrade_db(engine)
        except CommandError as error:
            raise RegistryError(
                f"The MLflow database {database} is of another version of MLflow, probably a newer one ({error});"
                f" here is {VERSION}. Use the version of this program that wrote it, or another home"
                " (ENTAILMENT_HOME)."
            ) from None
        finally:
            engine.dispose()
        _copy(database, before)
    _LOG.warning("%s was of an older MLflow and is upgraded; as it was it is kept in %s.", database, before)


def _copy(database: Path, copy: Path) -> None:
    """Also of one that somebody has open."""
    with closing(sqlite3.connect(database)) as old, closing(sqlite3.connect(copy)) as new:
        old.backup(new)
