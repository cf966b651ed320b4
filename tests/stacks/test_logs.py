"""What of the libraries' own lines comes to standard error: in a process of its own, as a run has it."""

import os
import subprocess
import sys

import pytest

from entailment.workspace import PROJECT

RUN = """
import logging, os, sys
from stacks.environment import prepare_environment
prepare_environment()
from stacks.logs import quiet_libraries
quiet_libraries(told=sys.argv[1] == "told")
quiet_libraries()
from entailment.errors import DataError
zenml, mlflow = logging.getLogger("zenml.pipelines.pipeline_definition"), logging.getLogger("mlflow.pyfunc")
logging.getLogger().handlers[0].setStream(sys.stderr)
zenml.info("You can visualize your pipeline runs in the `ZenML Dashboard`.")
zenml.info("  orchestrator: `default`")
zenml.info("  log_store: `default`")
zenml.info("  indented")
zenml.info("Dashboard URL for Pipeline Run: http://127.0.0.1")
zenml.warning("A real warning.")
for error in (DataError("row 1"), KeyError("gone")):
    try:
        raise error
    except Exception:
        zenml.error("Failed to run step `%s`: %s", "ingest", error)
        logging.getLogger("zenml.orchestrators").exception("Step %s failed.", "ingest")
zenml.info("Sleeping for %d seconds before retrying step `%s`.", 1, "ingest")
"""


def said(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"ENTAILMENT_HOME": "/proc/none"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, timeout=120)
    return done.stderr.decode(errors="replace").splitlines()


@pytest.mark.parametrize("told", ["told", ""])
def test_steps_and_warnings_are_shown_and_not_how_zenml_sets_itself_up(told):
    lines = ["  indented", "Dashboard URL for Pipeline Run: http://127.0.0.1", "A real warning."]
    foreseen, unforeseen = "Failed to run step `ingest`: row 1", "Failed to run step `ingest`: 'gone'"
    ends, again = "Step ingest failed.", "Sleeping for 1 seconds before retrying step `ingest`."
    came = said(RUN, told)
    if told:
        assert came == [*lines, ends, ends, unforeseen, again]
    else:
        assert came[:8] == [*lines, foreseen, ends, unforeseen, ends, "Traceback (most recent call last):"]
        assert came[-2:] == ["KeyError: 'gone'", again]
