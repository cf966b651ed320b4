"""Processes of this machine, each told from any that is given its number later."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

_LEEWAY: Final = 2.0
"""Seconds by which two readings of a process's start may differ: the system's boot time is known to the second."""


def this_process() -> dict[str, Any]:
    """What tells this process from every other, as plain values: `host`, `system`, `pid`, `start`."""
    where = {"host": socket.gethostname(), "system": this_system()}
    return {**where, "pid": os.getpid(), "start": process_start(os.getpid())}


def this_system() -> str:
    """What no other machine has, no other container of this one, and this one not after its next start; "" where that
    is not known.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def process_start(pid: int) -> float:
    """When a process began, in seconds after the boot: a clock that is set changes nothing. Raises psutil.Error."""
    return float(psutil.Process(pid).create_time() - psutil.boot_time())


def is_process(pid: int, start: float) -> bool:
    """Whether the process of that number that began at `start` is still there."""
    try:
        return abs(process_start(pid) - start) <= _LEEWAY
    except psutil.Error:
        return False


def has_ended(process: Mapping[str, Any]) -> bool:
    """Whether what `this_process` gave tells of a process that has ended; of another machine's it is not known."""
    return process["host"] == socket.gethostname() and not is_process(process["pid"], process["start"])
