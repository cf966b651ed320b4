"""Keeping ZenML's cache honest: a result that is gone must be made again."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.utils.pagination_utils import depaginate

from stacks.local import artifact_folder, is_active
from tracking.registry import result_exists, run_exists

_TOGETHER = ("train", "evaluate", "register")
_PARENTS = {"compare": ("comparison", "variants"), "crossval": ("cross_validation", "folds")}
"""Steps that write a parent run and children: their output, and where in it the children are listed."""
_PAGE = 500
_LOG = logging.getLogger(__name__)


def forget_lost_results() -> None:
    """Expires cached steps of this home whose files, MLflow run or model version are gone.

    train, evaluate and register write to one MLflow run: where one of them did not finish, or what they
    made is gone, none of them may be taken from the cache. On another stack than the home's nothing is done.
    """
    if not is_active():
        return
    client = Client()
    cacheable = _cacheable(client)
    lost = [step for step in cacheable if not _files_exist(step)]
    lost += [step for step in cacheable if step not in lost and not _children_exist(step)]
    by_run: dict[Any, dict[str, Any]] = {}
    for step in cacheable:
        if step.name in _TOGETHER:
            by_run.setdefault(step.pipeline_run_id, {})[step.name] = step
    for steps in by_run.values():
        if any(step in lost for step in steps.values()) or not _whole(steps):
            lost += [step for step in steps.values() if step not in lost]
    for step in lost:
        _LOG.warning(
            "What step %s made on %s is gone or unfinished: not taken from the cache.",
            step.name,
            step.start_time,
        )
    forget(lost)


def forget(steps: Iterable[Any]) -> None:
    """Expires the results of some step runs: they are not taken from the cache any more."""
    for step in steps:
        Client().update_step_run(step.id, cache_expires_at=datetime.now(UTC).replace(tzinfo=None))


def _cacheable(client: Client) -> list[Any]:
    filters = {"status": ExecutionStatus.COMPLETED, "cache_expired": False, "size": _PAGE, "hydrate": True}
    return [step for step in depaginate(client.list_run_steps, **filters) if _ours(step)]


def _ours(step: Any) -> bool:
    return any(uri.is_relative_to(artifact_folder()) for uri in _uris(step))


def _uris(step: Any) -> list[Path]:
    return [Path(artifact.uri) for artifacts in step.outputs.values() for artifact in artifacts]


def _files_exist(step: Any) -> bool:
    return all(uri.is_dir() and any(uri.iterdir()) for uri in _uris(step))


def _children_exist(step: Any) -> bool:
    """Whether the parent and the children that a step logged are still there; True for steps that log none."""
    if step.name not in _PARENTS:
        return True
    output, children = _PARENTS[step.name]
    result = step.outputs[output][0].load()
    ids = [result["parent_run_id"], *(child["run_id"] for child in result[children])]
    return all(run_exists(run_id) for run_id in ids)


def _whole(steps: dict[str, Any]) -> bool:
    if set(steps) != set(_TOGETHER):
        return False
    result = steps["register"].outputs["model_version"][0].load()
    return result_exists(result["model"], result["run_id"], result["model_version"])
