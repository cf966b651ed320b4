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
IMPORT = """
import os
from stacks.environment import prepare_environment
prepare_environment()
from stacks.logs import quiet_libraries
quiet_libraries()
import tensorflow_text
from tensorflow import float32
os.write(2, b"I0000 after\\n")
"""
DYING = """
import importlib.abc, os
from stacks.logs import _without_start_up_lines
with _without_start_up_lines():
    os.write(2, b"I0000 00:00:1 port.cc:153] oneDNN\\nF0000 00:00:1 cpu.cc:1] compiled for AVX \\xff\\n")
    os.abort()
"""


def said(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"ENTAILMENT_HOME": "/proc/none"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, timeout=120)
    return done.stderr.decode(errors="replace").splitlines()


@pytest.mark.parametrize("told", ["told", ""])
def test_steps_and_warnings_are_shown_and_not_how_zenml_sets_itself_up(told):
    lines = ["Dashboard URL for Pipeline Run: http://127.0.0.1", "A real warning."]
    foreseen, unforeseen = "Failed to run step `ingest`: row 1", "Failed to run step `ingest`: 'gone'"
    ends, again = "Step ingest failed.", "Sleeping for 1 seconds before retrying step `ingest`."
    came = said(RUN, told)
    if told:
        assert came == [*lines, ends, ends, unforeseen, again]
    else:
        assert came[:7] == [*lines, foreseen, ends, unforeseen, ends, "Traceback (most recent call last):"]
        assert came[-2:] == ["KeyError: 'gone'", again]


def test_tensorflow_is_imported_without_its_start_up_lines():
    assert said(IMPORT) == ["I0000 after"]


def test_what_a_dying_import_says_comes_through():
    assert said(DYING) == ["F0000 00:00:1 cpu.cc:1] compiled for AVX \ufffd"]
