"""Where the program keeps everything: below `$ENTAILMENT_HOME`, by default `.entailment/` beside the code."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workspace:
    """The folders of a home, absolute; made by whoever writes there, but for `scratch`."""

    home: Path

    @property
    def datasets(self) -> Path:
        """The generated sample, downloaded tweets, and data sets of our own."""
        return self.home / "datasets"

    @property
    def encoders(self) -> Path:
        """Encoders that were built or downloaded."""
        return self.home / "encoders"

    @property
    def features(self) -> Path:
        """The store of features."""
        return self.home / "features"

    @property
    def scratch(self) -> Path:
        """For what is being written, on the same disk as what is kept; made when absent."""
        folder = self.home / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def workspace() -> Workspace:
    """The workspace of this process. Steps and commands ask for it once; nothing in `entailment/` does."""
    named = os.environ.get("ENTAILMENT_HOME") or PROJECT / ".entailment"
    return Workspace(Path(named).expanduser().resolve())
