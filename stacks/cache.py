"""Keeping ZenML's cache honest: a result that is gone must be made again."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.utils.pagination_utils import depaginate

from stacks.local import artifact_folder, is_active
from tracking.registry import result_exists, run_exists

_PARENTS = {"compare": ("comparison", "variants"), "crossval": ("cross_validation", "folds")}
"""Steps that write a parent run and children: their output, and where in it the children are listed."""
_PAGE = 500
_NAMED = 3
_LOG = logging.getLogger(__name__)


def forget_lost_results() -> None:
    """Expires cached steps of this home whose files, MLflow run or model version are gone.

    On another stack than the home's nothing is done.
    """
    if not is_active():
        return
    lost = [step for step in _cacheable(Client()) if not (_files_exist(step) and _results_exist(step))]
    for step in lost[:_NAMED]:
        _LOG.warning("What step %s made on %s is gone: not taken from the cache.", step.name, step.start_time)
    if len(lost) > _NAMED:
        _LOG.warning("The same of %d more steps.", len(lost) - _NAMED)
    for step in lost:
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


def _results_exist(step: Any) -> bool:
    """Whether the runs and the version that a step made in MLflow are still there; True for steps that make none."""
    if step.name == "evaluate":
        return run_exists(_loaded(step, "report").get("run_id", ""))
    if step.name == "register":
        result = _loaded(step, "model_version")
        # Results of earlier programs do not name the model.
        return "model" in result and result_exists(result["model"], result["run_id"], result["model_version"])
    if step.name not in _PARENTS:
        return True
    output, children = _PARENTS[step.name]
    result = _loaded(step, output)
    return all(run_exists(one["run_id"]) for one in ({"run_id": result["parent_run_id"]}, *result[children]))


def _loaded(step: Any, output: str) -> dict[str, Any]:
    report: dict[str, Any] = step.outputs[output][0].load()
    return report
