"""Ports on 127.0.0.1 for the servers of this project."""

import socket

from entailment.errors import ServerError


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
