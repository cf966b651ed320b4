"""ZenML's client, its database whole and open."""

from pathlib import Path

import zenml
from alembic.util.exc import CommandError
from sqlalchemy.engine import make_url
from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.zen_stores.sql_zen_store import SqlZenStore, SqlZenStoreConfiguration

from entailment.errors import ConfigurationError
from entailment.files import holds_rows, made_once
from entailment.workspace import workspace


def zenml_client() -> Client:
    """The client of this process; the home's database is made where there is none.

    ZenML makes it in several transactions: whoever is killed between two leaves one that no ZenML reads. So it is
    made aside. A database elsewhere is the user's, and ZenML's. Raises ConfigurationError where another version of
    ZenML wrote it.
    """
    database = make_url(GlobalConfiguration().store_configuration.url).database
    try:
        if database and Path(database).resolve().is_relative_to(workspace().home.resolve()):
            made_once(Path(database), _is_whole, _make)
        client = Client()
        _ = client.zen_store
    except CommandError as error:
        raise ConfigurationError(
            f"The ZenML database in {GlobalConfiguration().config_directory} is of another version, probably a newer"
            f" one ({error}); here is {zenml.__version__}. Use the version of this program that wrote it, or another"
            " folder: ENTAILMENT_HOME for a new home, ZENML_CONFIG_PATH for another ZenML."
        ) from None
    return client


def _is_whole(database: Path) -> bool:
    """ZenML writes the version behind the tables, and a first stack at the end."""
    return holds_rows(database, ("alembic_version", "stack"))


def _make(database: Path) -> None:
    store = SqlZenStore(config=SqlZenStoreConfiguration(url=f"sqlite:///{database}"))
    store.engine.dispose()
