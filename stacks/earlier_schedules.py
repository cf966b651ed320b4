"""Schedules that earlier versions kept in the user's own ZenML; read there, and never written."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click


def earlier_schedules(prefix: str) -> dict[str, str]:
    """The cron expressions by name of the schedules whose names in the user's ZenML begin with `prefix`.

    The database may be of any version of ZenML: it is opened for reading alone. What cannot be read holds none.
    """
    # Where ZenML keeps it unless ZENML_CONFIG_PATH says otherwise.
    database = Path(click.get_app_dir("zenml")) / "local_stores" / "default_zen_store" / "zenml.db"
    query = "select name, cron_expression from schedule where substr(name, 1, ?) = ? and cron_expression is not null"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(query, (len(prefix), prefix)).fetchall()
    except (sqlite3.Error, OSError):
        return {}
    return {name.removeprefix(prefix): cron for name, cron in found}
