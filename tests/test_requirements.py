"""The pinned packages and the Pythons that they are pinned for."""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter

import pytest
from packaging.specifiers import SpecifierSet

from entailment.workspace import PROJECT
from tests.terminal import in_a_terminal

LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-airflow.txt")


@pytest.mark.parametrize("name", LOCKS)
def test_every_python_and_platform_gets_the_same_version_of_a_package(name):
    pinned = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==", (PROJECT / name).read_text(), flags=re.M)
    assert len(pinned) > 100
    assert [package for package, times in Counter(pinned).items() if times > 1] == []


def test_what_the_makefile_takes_is_what_the_project_declares():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    declared = SpecifierSet(project["requires-python"])
    taken = re.search(r"in ([\d.|]+)\) ;;", (PROJECT / "Makefile").read_text())[1].split("|")
    assert taken == [f"3.{minor}" for minor in range(50) if f"3.{minor}" in declared]


def fake_python(folder, name, version, code=0):
    """A Python that tells its version, and answers every other script with an exit code."""
    path = folder / name
    path.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) echo {version} ;; *) exit {code} ;; esac\n')
    path.chmod(0o755)
    return path


def make_venv(folder, *pythons):
    named = [f"PYTHON={' '.join(map(str, pythons))}"] if pythons else []
    environment = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    return subprocess.run(
        ["make", "--no-print-directory", "venv", f"VENV={folder / 'venv'}", *named],
        cwd=PROJECT,
        env=environment | {"PATH": f"{folder}{os.pathsep}{environment['PATH']}"},
        capture_output=True,
        text=True,
    )


def test_without_a_python_that_fits_make_says_what_it_tried(tmp_path):
    old, new = fake_python(tmp_path, "old", "3.10"), fake_python(tmp_path, "new", "3.14")
    answer = make_venv(tmp_path, old, new, tmp_path / "absent")
    assert answer.returncode == 2
    assert answer.stderr.startswith(
        f"No Python 3.11, 3.12 or 3.13 is there (tried: {old} {new} {tmp_path}/absent);"
    )
    assert not (tmp_path / "venv").exists()


def test_without_its_venv_module_make_names_the_package(tmp_path):
    answer = make_venv(tmp_path, fake_python(tmp_path, "bare", "3.13", code=1))
    assert answer.returncode == 2
    assert "on Debian and Ubuntu install python3.13-venv\n" in answer.stderr


def test_the_first_python_that_fits_and_can_make_an_environment_is_taken(tmp_path):
    fake_python(tmp_path, "python3", "3.10")
    fake_python(tmp_path, "python3.13", "3.13", code=1)
    (tmp_path / "python3.12").symlink_to(sys.executable)
    answer = make_venv(tmp_path)
    assert answer.returncode == 0, answer.stderr
    made = subprocess.check_output(
        [tmp_path / "venv/bin/python", "-c", "import sys, pip; print(sys.version)"], text=True
    )
    assert made.strip() == sys.version


def test_setting_up_says_what_it_installs_and_a_second_time_nothing(tmp_path):
    """With a pip that does nothing: piped it is quiet, in a terminal it says how far it is."""
    (tmp_path / "requirements.txt").write_text("one==1 \\\n    --hash=sha256:1\n    # via two\ntwo==2\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "pip $*"\n')
    python.chmod(0o755)
    command = ["make", "-f", str(PROJECT / "Makefile"), "setup"]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (
        piped.stderr == "Installing the packages of requirements.txt (2) into .venv/: some minutes, once.\n"
    )
    assert "pip -m pip install --quiet " in piped.stdout
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stderr == ""
    (tmp_path / ".venv" / "requirements.done").unlink()
    lines = in_a_terminal(80, command, tmp_path)
    assert any(line.startswith("pip -m pip install --disable") for line in lines)
