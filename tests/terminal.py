"""A terminal for the commands of tests."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

from entailment.workspace import PROJECT


def in_a_terminal(columns: int, command: list[str], folder: Path = PROJECT) -> list[str]:
    """The lines that a command, called in `folder`, writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    running = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    came = b""
    with contextlib.suppress(OSError):  # it is closed on the other side
        while block := os.read(ours, 65536):
            came += block
    os.close(ours)
    running.wait()
    return came.decode().replace("\r", "").splitlines()
