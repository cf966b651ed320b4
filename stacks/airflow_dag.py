"""Turns a compiled pipeline into an Airflow DAG: each step a task that runs in the pipeline's own environment.

ZenML copies this file as `dag.py` beside `config.json`, and Airflow reads it from there: it knows pydantic and
Airflow only. The names in capitals and the two configuration classes are those that ZenML's orchestrator asks for.
"""

import json
import logging
import shlex
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ENV_ZENML_AIRFLOW_RUN_ID = "ZENML_AIRFLOW_RUN_ID"
ENV_ZENML_LOCAL_STORES_PATH = "ZENML_LOCAL_STORES_PATH"
CONFIG_FILENAME = "config.json"
CHECK = "check"
"""Name of the task that looks whether there is anything to do."""
ALERT_TIMEOUT = 10
"""Seconds that the receiver of an alert has to answer."""

_LOG = logging.getLogger(__name__)


class TaskConfiguration(BaseModel):
    """One step, as ZenML's orchestrator describes it; image, command and operator are not used."""

    id: str
    zenml_step_name: str
    upstream_steps: list[str]
    docker_image: str
    command: list[str]
    arguments: list[str]
    environment: dict[str, str] = {}
    operator_source: str
    operator_args: dict[str, Any] = {}


class Execution(BaseModel):
    """How the tasks are run; comes through the orchestrator's setting `dag_args`."""

    command: list[str]
    """The step's entrypoint; the task's arguments are added."""
    check: list[str]
    """A command that is run first; exit code 3: there is nothing to do, the steps are skipped. Empty: none."""
    folder: str
    """Where the commands are run."""
    environment: dict[str, str]
    retries: int
    retry_delay_seconds: int
    step_timeout_seconds: int
    alert_file: str
    """A file that holds the address of the webhook; absent or empty: no alert is sent."""
    server: str
    """Address of Airflow's pages, for links in alerts."""


class DagConfiguration(BaseModel):
    """A scheduled pipeline, as ZenML's orchestrator describes it."""

    id: str
    tasks: list[TaskConfiguration]
    local_stores_path: str | None = None
    schedule: timedelta | str
    start_date: datetime
    end_date: datetime | None = None
    catchup: bool = False
    tags: list[str] = []
    dag_args: Execution


def bash_command(execution: Execution, task: TaskConfiguration) -> str:
    """The line that bash runs; bash is replaced by the step, so that a signal to the task reaches the step."""
    return "exec " + shlex.join([*execution.command, *task.arguments])


def task_environment(dag: DagConfiguration, task: TaskConfiguration) -> dict[str, str]:
    """Variables of a step; `{{ run_id }}` is filled in by Airflow: every step of a run joins one ZenML run."""
    last = {"ENTAILMENT_LAST_ATTEMPT": "{{ ti.try_number > ti.max_tries }}"}
    return task.environment | dag.dag_args.environment | {ENV_ZENML_AIRFLOW_RUN_ID: "{{ run_id }}"} | last


def alert_text(schedule: str, run_id: str, step: str | None, page: str) -> str:
    """What an alert says: schedule, the step that failed where that is known, run, and where the logs are."""
    return f"Schedule '{schedule}' failed{f' at {step}' if step else ''} (run {run_id}). Logs: {page}"


def send_alert(url: str, text: str) -> None:
    """Posts `{"text": text}`, which Slack, Mattermost and others take. Raises OSError when it does not arrive."""
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ALERT_TIMEOUT) as answer:
        answer.read()


def alert_url(file: str) -> str:
    """The address in an alert file, "" where there is none."""
    path = Path(file)
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def build_dag(config: DagConfiguration) -> Any:
    """The Airflow DAG: one run at a time, missed runs are not made up for, failures retried, then alerted."""
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG

    execution = config.dag_args

    def alert(context: Any) -> None:
        run_id, instance = context["run_id"], context.get("ti")
        page = f"{execution.server}/dags/{config.id}/runs/{run_id}"
        text = alert_text(config.id, run_id, instance.task_id if instance else None, page)
        _LOG.error("%s", text)
        if url := alert_url(execution.alert_file):
            send_alert(url, text)

    with DAG(
        config.id,
        schedule=config.schedule,
        start_date=config.start_date,
        end_date=config.end_date,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=config.tags,
        on_failure_callback=alert,
        default_args={
            "retries": execution.retries,
            "retry_delay": timedelta(seconds=execution.retry_delay_seconds),
            "execution_timeout": timedelta(seconds=execution.step_timeout_seconds),
        },
    ) as dag:
        operators: dict[str, Any] = {}
        common = {"append_env": True, "cwd": execution.folder, "do_xcom_push": False}
        first = None
        if execution.check:
            line = "exec " + shlex.join(execution.check)
            first = BashOperator(
                task_id=CHECK, bash_command=line, env=execution.environment, skip_on_exit_code=3, **common
            )
        for task in config.tasks:
            operators[task.zenml_step_name] = BashOperator(
                task_id=task.id,
                bash_command=bash_command(execution, task),
                env=task_environment(config, task),
                **common,
            )
            for upstream in task.upstream_steps:
                operators[task.zenml_step_name].set_upstream(operators[upstream])
            if first is not None and not task.upstream_steps:
                operators[task.zenml_step_name].set_upstream(first)
    return dag


# Airflow imports the copy that lies beside a configuration; the pipeline's process imports the original.
_CONFIG = Path(__file__).parent / CONFIG_FILENAME
if _CONFIG.is_file():
    dag = build_dag(DagConfiguration.model_validate_json(_CONFIG.read_bytes()))
