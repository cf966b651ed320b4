"""Schedules of this home: a pipeline that Airflow runs by cron, known to ZenML too."""

import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.retry_config import StepRetryConfig
from zenml.config.schedule import Schedule as ZenmlSchedule
from zenml.enums import ExecutionMode, ExecutionStatus
from zenml.orchestrators.publish_utils import publish_failed_pipeline_run

from entailment.configuration.schedule import Schedule
from entailment.errors import ConfigurationError, ScheduleError
from entailment.files import write_private, written_aside
from entailment.workspace import PROJECT, workspace
from stacks.airflow_api import AirflowApi, airflow_home, dags_folder
from stacks.airflow_dag import ENV_ZENML_LOCAL_STORES_PATH, Execution
from stacks.cron import checked_cron, next_time
from stacks.earlier_schedules import earlier_schedules
from stacks.environment import FOLDERS

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_PATIENCE: Final = 120
"""Seconds that Airflow has to see a new schedule, or to let go of one."""
_CALM: Final = 4
"""Seconds without a trace of a deleted schedule: a reading of its file that was under way may write it back."""
_GOING: Final = ("queued", "running")


@dataclass(frozen=True)
class ScheduleState:
    """A schedule, its next run and its last ones; times are ISO 8601, UTC."""

    name: str
    pipeline: str
    cron: str
    state: str
    """active | paused | lost (Airflow does not know it) | unknown (Airflow does not answer) | earlier (an earlier
    version made it; its runs fail: delete it and make it anew)."""
    next_run: str | None
    """None while it is paused or lost."""
    last_run: str | None
    """When Airflow began the last run."""
    last_state: str | None
    """How it ended, by Airflow: success | failed; or queued, running."""
    runs: list[dict[str, Any]]
    """The last runs as ZenML knows them, newest first: `name`, `status`, `start`, `end`."""


def create_schedule(
    name: str,
    cron: str,
    pipeline: Callable[..., Any],
    arguments: tuple[Any, ...],
    settings: Schedule,
    check: Sequence[str] = (),
    configuration: str = "",
    options: Mapping[str, Any] | None = None,
) -> ScheduleState:
    """Makes Airflow run `pipeline(*arguments)` by `cron` (UTC) on the active stack, from its next time on.

    `check` is a command that is run before; where it exits with 3 the run is skipped. It gets `--config FILE` with
    the text `configuration` in the file. `options` are ZenML's own for a run: its tags, settings and model hold.

    Raises:
        ConfigurationError: the name, the cron expression or the webhook's address is wrong, or the name is taken.
        ScheduleError: Airflow does not answer or does not take the schedule; nothing is left of it then.
    """
    cron, alert_url = checked_cron(cron), _checked_alert_url(settings)
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"--name must be letters, digits, '.', '-' and '_'. Received: {name!r}.")
    _refuse_earlier(name)
    if found := _find(name):
        raise ConfigurationError(
            f"There is a schedule '{name}' already ({found.cron_expression}). Remove it with schedule --delete"
            f" {name}, or give another --name."
        )
    api = AirflowApi()
    try:
        write_private(_alert_file(name), alert_url)
        if check:
            with written_aside(_configuration_file(name)) as aside:
                aside.write_text(configuration, encoding="utf-8")
            check = [*check, "--config", str(_configuration_file(name))]
        _submit(name, cron, pipeline, arguments, settings, check, api.server, options or {})
        _wait_until_seen(api, name)
    except BaseException:
        _remove(api, name)
        raise
    return _state(_find(name), api)


def list_schedules() -> tuple[list[ScheduleState], ScheduleError | None]:
    """Every schedule of this home, and why Airflow could not be asked, if so."""
    try:
        api, fault = AirflowApi(), None
    except ScheduleError as error:
        api, fault = None, error
    earlier = [_earlier_state(name, cron) for name, cron in sorted(_earlier().items())]
    return [*(_state(schedule, api) for schedule in _all()), *earlier], fault


def delete_schedule(name: str) -> None:
    """Removes a schedule from Airflow and ZenML; a run that is going is ended, finished runs are kept.

    Raises:
        ScheduleError: there is no such schedule, or Airflow does not answer.
    """
    # One that an earlier version made may be known to a ZenML that is not asked.
    if not (dags_folder() / name).is_dir():
        _existing(name)
    _remove(AirflowApi(), name)


def pause_schedule(name: str, *, paused: bool) -> ScheduleState:
    """Pauses or resumes a schedule; a run that is going waits at its next step. Raises as `delete_schedule`."""
    schedule, api = _existing(name), AirflowApi()
    if api.dag(name) is None:
        raise ScheduleError(
            f"Airflow does not know '{name}'. Make it anew: schedule --delete {name}, then --cron."
        )
    api.pause(name, paused)
    return _state(schedule, api)


def _submit(
    name: str,
    cron: str,
    pipeline: Callable[..., Any],
    arguments: tuple[Any, ...],
    settings: Schedule,
    check: Sequence[str],
    server: str,
    options: Mapping[str, Any],
) -> None:
    execution = Execution(
        command=[sys.executable, "-m", "stacks.step_entrypoint"],
        check=list(check),
        folder=str(PROJECT),
        environment=workspace().variables
        # Everything else comes from Airflow's own environment.
        | {variable: os.environ[variable] for variable in FOLDERS if os.environ.get(variable)},
        retries=settings.retries,
        retry_delay_seconds=settings.retry_delay,
        step_timeout_seconds=settings.step_timeout,
        alert_file=str(_alert_file(name)),
        server=server,
    )
    compiled = airflow_home() / "compiled"
    orchestrator = {
        "dag_id": name,
        "dag_output_dir": str(compiled),
        "custom_dag_generator": "stacks.airflow_dag",
        "dag_args": execution.model_dump(),
    }
    # No image is built; ZenML wants one named all the same.
    docker = DockerSettings(skip_build=True, parent_image="none", allow_download_from_artifact_store=False)
    told = {name: options[name] for name in ("tags", "model") if options.get(name)}
    scheduled = pipeline.with_options(
        **told,
        enable_cache=False,
        schedule=ZenmlSchedule(name=_full(name), cron_expression=cron, start_time=datetime.now(UTC)),
        retry=StepRetryConfig(max_retries=settings.retries) if settings.retries else None,
        # Airflow knows no other; steps after a failed one are not run all the same.
        execution_mode=ExecutionMode.CONTINUE_ON_FAILURE,
        settings={**(options.get("settings") or {}), "docker": docker, "orchestrator": orchestrator},
    )
    with _store_accepted():
        scheduled(*arguments)
    # Airflow cannot call back into a zip, and may not see half a schedule.
    with zipfile.ZipFile(compiled / f"{name}.zip") as archive:
        archive.extractall(compiled / name)
    shutil.rmtree(dags_folder() / name, ignore_errors=True)
    (compiled / name).rename(dags_folder() / name)
    shutil.rmtree(compiled)


@contextmanager
def _store_accepted() -> Iterator[None]:
    """ZenML wants the artifact store below one folder that containers could mount; there are no containers."""
    before = os.environ.get(ENV_ZENML_LOCAL_STORES_PATH)
    os.environ[ENV_ZENML_LOCAL_STORES_PATH] = str(workspace().home)
    try:
        yield
    finally:
        del os.environ[ENV_ZENML_LOCAL_STORES_PATH]
        if before is not None:
            os.environ[ENV_ZENML_LOCAL_STORES_PATH] = before


def _wait_until_seen(api: AirflowApi, name: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while api.dag(name) is None:
        faults = [fault for fault in api.import_errors() if name in fault]
        if faults:
            raise ScheduleError(
                f"Airflow cannot read schedule '{name}': {faults[0].strip().splitlines()[-1]}"
            )
        if time.monotonic() > deadline:
            raise ScheduleError(
                f"Airflow did not see schedule '{name}' in {_PATIENCE} s. Look at what make airflow prints."
            )
        time.sleep(1)


def _remove(api: AirflowApi, name: str) -> None:
    shutil.rmtree(dags_folder() / name, ignore_errors=True)
    _remove_from_airflow(api, name)
    for file in (_alert_file(name), _configuration_file(name)):
        file.unlink(missing_ok=True)
    if (schedule := _find(name)) is None:
        return
    for run in _runs(schedule, status=ExecutionStatus.RUNNING):
        publish_failed_pipeline_run(run.id)
    # The client's own way would only warn that the orchestrator cannot do what was just done.
    Client().zen_store.delete_schedule(schedule.id, soft=True)


def _remove_from_airflow(api: AirflowApi, name: str) -> None:
    deadline, gone_since = time.monotonic() + _PATIENCE, time.monotonic()
    while time.monotonic() - gone_since < _CALM:
        if api.dag(name) is not None:
            api.pause(name, True)
            for run in api.runs(name, limit=100):
                if run["state"] in _GOING:
                    api.end_run(name, run["dag_run_id"])
            api.delete(name)
            gone_since = time.monotonic()
        if time.monotonic() > deadline:
            raise ScheduleError(
                f"Airflow did not let go of '{name}' in {_PATIENCE} s; it starts no more runs. Try --delete again."
            )
        time.sleep(1)


def _state(schedule: Any, api: AirflowApi | None) -> ScheduleState:
    name = schedule.name.removeprefix(_full(""))
    dag = api.dag(name) if api else None
    last = next(iter(api.runs(name)), None) if api and dag else None
    state = ("paused" if dag["is_paused"] else "active") if dag else "lost" if api else "unknown"
    runs = [
        {
            "name": run.name,
            "status": str(run.status),
            "start": _utc(run.start_time),
            "end": _utc(run.end_time),
        }
        for run in _runs(schedule, size=5)
    ]
    return ScheduleState(
        name=name,
        pipeline=Client().get_pipeline(schedule.pipeline_id).name,
        cron=schedule.cron_expression,
        state=state,
        next_run=_next_run(schedule.cron_expression, dag) if state in ("active", "unknown") else None,
        last_run=_seconds(last["start_date"] or last["run_after"]) if last else None,
        last_state=last["state"] if last else None,
        runs=runs,
    )


def _earlier() -> dict[str, str]:
    """Schedules of an earlier version that are still in Airflow's folder: name and cron expression."""
    ours = {schedule.name for schedule in _all()}
    found = earlier_schedules(_full(""))
    return {n: cron for n, cron in found.items() if _full(n) not in ours and (dags_folder() / n).is_dir()}


def _earlier_state(name: str, cron: str) -> ScheduleState:
    return ScheduleState(name, "retraining", cron, "earlier", None, None, None, [])


def _next_run(cron: str, dag: dict[str, Any] | None) -> str | None:
    """What Airflow says; where it does not, the next time by the cron expression."""
    told = _seconds(dag["next_dagrun_run_after"]) if dag else None
    return told or _utc(next_time(cron, datetime.now(UTC)))


def _utc(moment: datetime | None) -> str | None:
    """ZenML's times are UTC and do not say so."""
    return None if moment is None else moment.replace(tzinfo=UTC, microsecond=0).isoformat()


def _seconds(moment: str | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromisoformat(moment).astimezone(UTC).replace(microsecond=0).isoformat()


def _all() -> list[Any]:
    found = Client().list_schedules(name=f"startswith:{_full('')}", size=100, hydrate=True).items
    return sorted(found, key=lambda schedule: schedule.name)


def _find(name: str) -> Any:
    return next((schedule for schedule in _all() if schedule.name == _full(name)), None)


def _existing(name: str) -> Any:
    if found := _find(name):
        return found
    _refuse_earlier(name)
    known = ", ".join(schedule.name.removeprefix(_full("")) for schedule in _all()) or "none"
    raise ScheduleError(f"There is no schedule '{name}'. There are: {known}.")


def _refuse_earlier(name: str) -> None:
    if name in _earlier():
        raise ScheduleError(
            f"An earlier version made '{name}' in your own ZenML. Make it anew: schedule --delete {name}, then"
            " schedule --cron."
        )


def _runs(schedule: Any, **filters: Any) -> list[Any]:
    return Client().list_pipeline_runs(schedule_id=schedule.id, sort_by="desc:created", **filters).items


def _full(name: str) -> str:
    """ZenML's name of a schedule: two homes may share one ZenML."""
    return f"{Client().active_stack_model.name}:{name}"


def _alert_file(name: str) -> Path:
    return airflow_home() / "alerts" / name


def _configuration_file(name: str) -> Path:
    return airflow_home() / "configurations" / f"{name}.yaml"


def _checked_alert_url(settings: Schedule) -> str:
    url = settings.alert_url.get_secret_value() if settings.alert_url else ""
    if url and not url.startswith(("http://", "https://")):
        raise ConfigurationError("schedule.alert_url must begin with http:// or https://.")
    return url
