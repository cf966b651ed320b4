"""Ports on 127.0.0.1 for the servers of this project, and who listens there."""

import socket
from contextlib import suppress

import psutil

from entailment.errors import ServerError
from stacks.processes import is_process


def check_port(port: int, another: str) -> None:
    """Raises ServerError where nothing can listen on a port; `another` says how to take another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerError(
                f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}): does something listen there already?"
                f" Take another one: {another}"
            ) from None


def listens(pid: int, start: float, port: int) -> bool:
    """Whether the process `pid` that began at `start` (`this_process`), or one that it started, has the port.

    A process that was given the same number later is another one, whatever it does.
    """
    if not is_process(pid, start):
        return False
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return False
    return any(_has(process, port) for process in family)


def _has(process: psutil.Process, port: int) -> bool:
    with suppress(psutil.Error):
        for socket_ in process.net_connections("tcp4"):
            if socket_.status == psutil.CONN_LISTEN and tuple(socket_.laddr) == ("127.0.0.1", port):
                return True
    return False
