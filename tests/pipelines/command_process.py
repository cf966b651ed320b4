"""`run_pipeline.py` in a process forked from one that has imported the libraries: a start costs nothing.

Only libraries are imported before, in the environment that a command prepares for itself: what a command reads
from its own environment, imports of ours and computes is its own. A run with a variable that a library reads when
it is imported needs a process of its own (`Workspace.run` sees to that).
"""

import ctypes
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

LIBRARIES = "tests.pipelines.imported_libraries"
OURS = ("entailment", "stacks")
"""Packages of ours that preparing the environment imports."""
_CLONE_NEWNS = 0x20000
SECONDS = 300
"""That a command may take."""


def _run(
    script: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: list[str],
    read_only: Path | None,
) -> None:
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if read_only:
        _make_read_only(read_only)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]  # the script may belong to a copy of the project
    runpy.run_path(script, run_name="__main__")


def _make_read_only(folder: Path) -> None:
    """For this process alone; also for root, who may write where another user may not."""
    if ctypes.CDLL(None).unshare(_CLONE_NEWNS):
        raise PermissionError("a folder is made read-only by root")
    for options in (["--make-rprivate", "/"], ["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
        subprocess.run(["mount", *options], check=True)


def run_command(
    script: Path,
    arguments: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    read_only: Path | None = None,
) -> CompletedProcess:
    """Like `subprocess.run` in `folder` with text captured, which goes through two files.

    The command cannot write below the folder `read_only`; that needs root.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([LIBRARIES])
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / "stdout", Path(scratch) / "stderr"]
        given = (
            str(script),
            list(arguments),
            str(folder),
            environment,
            [str(file) for file in files],
            read_only,
        )
        process = context.Process(target=_run, args=given)
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutExpired(list(arguments), SECONDS, *(file.read_bytes() for file in files))
        return CompletedProcess(list(arguments), process.exitcode, *(file.read_text() for file in files))
