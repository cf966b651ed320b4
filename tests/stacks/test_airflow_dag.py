"""What the DAG is made of, without Airflow: command, environment, alert."""

import ast
import inspect
import shlex
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from entailment.errors import NothingNewError
from stacks import airflow_dag
from stacks.airflow_dag import (
    DagConfiguration,
    Execution,
    TaskConfiguration,
    alert_text,
    alert_url,
    bash_command,
    build_dag,
    send_alert,
    task_environment,
)
from tests.stacks.webhook import webhook


@pytest.fixture
def task():
    return TaskConfiguration(
        id="train",
        zenml_step_name="train",
        upstream_steps=["split"],
        docker_image="none",
        command=["python", "-m", "zenml.entrypoints.entrypoint"],
        arguments=["--snapshot_id", "1", "--step_name", "train"],
        environment={"ZENML_STORE_TYPE": "sql", "ENTAILMENT_HOME": "elsewhere"},
        operator_source="airflow.providers.standard.operators.bash.BashOperator",
    )


@pytest.fixture
def dag(task):
    execution = Execution(
        command=["/a folder/python", "-m", "stacks.step_entrypoint"],
        check=["/a folder/python", "check"],
        folder="/a folder",
        environment={"ENTAILMENT_HOME": "/home of runs"},
        retries=2,
        retry_delay_seconds=60,
        step_timeout_seconds=3600,
        alert_file="/nowhere",
        server="http://127.0.0.1:8080",
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return DagConfiguration(
        id="nightly", tasks=[task], schedule="0 3 * * 1", start_date=start, dag_args=execution
    )


def test_the_configuration_survives_json(dag):
    assert DagConfiguration.model_validate_json(dag.model_dump_json()) == dag


def test_a_step_replaces_the_shell_and_runs_our_entrypoint(dag, task):
    words = shlex.split(bash_command(dag.dag_args, task))
    assert words == ["exec", *dag.dag_args.command, *task.arguments]


def test_the_environment_joins_one_run_and_ours_wins(dag, task):
    environment = task_environment(dag, task)
    assert environment["ZENML_AIRFLOW_RUN_ID"] == "{{ run_id }}"
    assert environment["ENTAILMENT_HOME"] == "/home of runs"
    assert environment["ZENML_STORE_TYPE"] == "sql"
    assert task.environment["ENTAILMENT_HOME"] == "elsewhere"


def test_the_steps_wait_for_the_check_and_are_skipped_where_nothing_is_new(dag, task, monkeypatch):
    first = task.model_copy(update={"id": "ingest", "zenml_step_name": "ingest", "upstream_steps": []})
    task.upstream_steps = ["ingest"]
    dag.tasks = [first, task]
    check, ingest, train = tasks_of(dag, monkeypatch)
    assert [made.upstream for made in (check, ingest, train)] == [[], ["check"], ["ingest"]]
    assert check.bash_command == "exec '/a folder/python' check"
    assert check.skip_on_exit_code == NothingNewError.exit_code
    dag.dag_args.check = []
    assert [made.task_id for made in tasks_of(dag, monkeypatch)] == ["ingest", "train"]


def tasks_of(dag, monkeypatch):
    """The tasks that the DAG is built of, with stand-ins for Airflow's classes."""
    made = []

    class Operator(SimpleNamespace):
        def __init__(self, **given):
            super().__init__(upstream=[], **given)
            made.append(self)

        def set_upstream(self, other):
            self.upstream.append(other.task_id)

    sdk = SimpleNamespace(DAG=lambda *arguments, **options: nullcontext())
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    bash = SimpleNamespace(BashOperator=Operator)
    monkeypatch.setitem(sys.modules, "airflow.providers.standard.operators.bash", bash)
    build_dag(dag)
    return made


def test_an_alert_names_schedule_step_run_and_page():
    text = alert_text("nightly", "scheduled__1", "train", "http://127.0.0.1/dags/nightly")
    assert (
        text == "Schedule 'nightly' failed at train (run scheduled__1). Logs: http://127.0.0.1/dags/nightly"
    )


def test_an_alert_arrives_as_slack_wants_it():
    with webhook() as (url, received):
        send_alert(url, 'quotes " and ü')
    assert received == [{"text": 'quotes " and ü'}]


def test_a_receiver_that_refuses_is_an_error():
    with webhook(status=500) as (url, _), pytest.raises(OSError, match="500"):
        send_alert(url, "text")


def test_no_alert_file_no_address(tmp_path):
    assert alert_url(str(tmp_path / "absent")) == ""
    (tmp_path / "nightly").write_text("https://hooks.example/1\n")
    assert alert_url(str(tmp_path / "nightly")) == "https://hooks.example/1"


def test_the_generator_stands_alone():
    """It is copied and read in Airflow's environment, where the project is not."""
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(airflow_dag))):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"pydantic", "airflow"}


def test_it_declares_what_zenml_s_orchestrator_asks_for():
    from zenml.integrations.airflow.orchestrators.airflow_orchestrator import get_dag_generator_values

    values = get_dag_generator_values("stacks.airflow_dag")
    assert values.dag_configuration_class is DagConfiguration
    assert values.task_configuration_class is TaskConfiguration
