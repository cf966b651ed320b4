"""The record of every decision about the champion, the same whoever made it: a person, the gate, or a first version.

It is in the version's tags, and in `promotion.json` and `promotion.md` of the version's run.
"""

import getpass
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from entailment.errors import DataError
from entailment.files import check_format
from entailment.promotion.gate import promotion_record
from entailment.reporting.promotion_page import promotion_markdown

PERSON: Final = "person"
GATE: Final = "gate"
AUTOMATIC: Final = "automatic"
_FILE: Final = "promotion"
_FORMAT: Final = 1
_TAG: Final = 4000
"""Characters of a tag that are kept: MLflow's column holds 5,000 bytes; `promotion.json` is whole."""
_LOG = logging.getLogger(__name__)


def keep_decision(
    model: str,
    client: MlflowClient,
    version: str,
    outcome: str,
    *,
    how: str,
    why: str,
    previous: str,
    reasons: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Records a decision about `version` beside the earlier ones; arguments and result as in `promotion_record`."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    record = promotion_record(
        version, outcome, how=how, by=_user(), at=now, why=why, previous=previous, reasons=reasons
    )
    tags = {name: record[name] for name in ("outcome", "how", "by", "at", "why", "previous")}
    tags |= {reason["name"]: f"{_met(reason)}: {reason['text']}" for reason in record["reasons"]}
    for name, value in tags.items():
        client.set_model_version_tag(model, version, f"promotion.{name}", shortened(value, _TAG))
    run_id = client.get_model_version(model, version).run_id
    try:
        earlier = _records(client, run_id)
        if how == GATE:  # which judges a version once: an earlier record is of an attempt that died
            earlier = [kept for kept in earlier if (kept["how"], kept["version"]) != (GATE, version)]
        records = [*earlier, record]
        client.log_dict(run_id, {"format": _FORMAT, "decisions": records}, f"{_FILE}.json")
        client.log_text(run_id, promotion_markdown(records), f"{_FILE}.md")
    except (MlflowException, DataError) as error:
        _LOG.warning("The decision is in the tags of version %s, its run cannot hold it: %s", version, error)
    return record


def shortened(text: str, length: int) -> str:
    """The text, of so many characters at most: what was left out is shown by an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _records(client: MlflowClient, run_id: str) -> list[dict[str, Any]]:
    if not any(item.path == f"{_FILE}.json" for item in client.list_artifacts(run_id)):
        return []
    kept = mlflow.artifacts.load_dict(f"{client.get_run(run_id).info.artifact_uri}/{_FILE}.json")
    check_format(f"{_FILE}.json of run {run_id}", kept.get("format", 1), _FORMAT)
    records: list[dict[str, Any]] = kept["decisions"]
    return records


def _met(reason: Mapping[str, Any]) -> str:
    return "met" if reason["passed"] else "not met"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
