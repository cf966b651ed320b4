"""ZenML's client, its database open."""

import zenml
from alembic.util.exc import CommandError
from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration

from entailment.errors import ConfigurationError


def zenml_client() -> Client:
    """The client of this process. Raises ConfigurationError where another version of ZenML wrote its database."""
    client = Client()
    try:
        _ = client.zen_store
    except CommandError as error:
        raise ConfigurationError(
            f"The ZenML database in {GlobalConfiguration().config_directory} is of another version, probably a newer"
            f" one ({error}); here is {zenml.__version__}. Use the version of this program that wrote it, or another"
            " folder: ENTAILMENT_HOME for a new home, ZENML_CONFIG_PATH for another ZenML."
        ) from None
    return client
