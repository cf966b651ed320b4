"""Where the program keeps everything: `$ENTAILMENT_HOME`, by default `.entailment/` beside the code."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The home folder (not made here), absolute."""
    return Path(os.environ.get("ENTAILMENT_HOME") or PROJECT / ".entailment").expanduser().resolve()


def scratch() -> Path:
    """A folder for what is being written, on the same disk as what is kept; made when absent."""
    folder = home() / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
