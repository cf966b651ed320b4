"""MLflow's database in the home, at the version that this MLflow reads."""

import shutil
from pathlib import Path
from typing import Final

from entailment.errors import RegistryError
from entailment.files import written_aside

_OUT_OF_DATE: Final = "out-of-date database schema"
"""What MLflow says of a database that an older or a newer one wrote."""


def is_of_another_version(error: Exception) -> bool:
    """Whether MLflow means that with an error."""
    return _OUT_OF_DATE in str(error)


def upgrade(database: Path) -> None:
    """Brings a database that an older MLflow wrote to today's version: aside, then renamed.

    Raises RegistryError where a newer MLflow wrote it.
    """
    from alembic.util.exc import CommandError
    from mlflow.store.db.utils import _upgrade_db
    from mlflow.version import VERSION
    from sqlalchemy import create_engine

    with written_aside(database) as aside:
        shutil.copyfile(database, aside)
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
