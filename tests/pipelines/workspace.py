"""A home, a ZenML configuration and a tiny data set of its own for runs through the command line."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from tests.encoders.random_modules import write_random_modules
from tests.pipelines.command_process import run_command

PROJECT = Path(__file__).resolve().parents[2]
READ_AT_IMPORT = {"PYTHONPATH", "HOME", "MPLCONFIGDIR", "KERAS_HOME"}
"""Variables that Python or a library reads when it starts."""
STEPS = (
    "look",
    "ingest",
    "resolve_image_paths",
    "split",
    "write_tfrecords",
    "encode",
    "train",
    "evaluate",
    "register",
)
SMALL = """
dataset: {{source: {pairs}, images: {images}}}
images: {{size: 32}}
split: {{test_fraction: 0.25, validation_fraction: 0.2}}
records: {{rows_per_shard: 16}}
encoders:
  text: {{encoder: {text}, preprocessor: {preprocessor}, sequence_length: 16}}
  image: {{encoder: {image}}}
head: {{projection_units: 16}}
training: {{epochs: 3, patience: 0}}
evaluation: {{bootstrap_samples: 50, sample_rows: 2}}
"""


def write_settings(file: Path, settings: str) -> None:
    """Writes settings, in YAML, as a run configuration."""
    file.write_text("parameters:\n  configuration:\n" + textwrap.indent(settings.strip("\n"), "    ") + "\n")


def logged_settings(configuration: Configuration) -> dict[str, str]:
    """The parameters of a run in MLflow that trained and was judged."""
    settings = dotted(configuration.of_model()) | dotted(configuration.evaluation, "evaluation.")
    return {key: str(value) for key, value in settings.items()}


@dataclass
class Workspace:
    """Runs commands with everything that is kept below `folder`."""

    folder: Path
    project: Path = PROJECT

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"

    def write_config(self, modules: dict[str, str]) -> None:
        from entailment.data.sample import write_sample

        write_sample(self.folder / "data", pairs=80, seed=1)
        paths = {"pairs": self.folder / "data" / "pairs.csv", "images": self.folder / "data" / "images"}
        write_settings(self.folder / "small.yaml", SMALL.format(**paths, **modules))

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ZENML_", "MLFLOW_"))
        }
        return kept | {
            "ENTAILMENT_HOME": str(self.home),
            "ZENML_CONFIG_PATH": str(self.folder / "zenml-config"),
            "CUDA_VISIBLE_DEVICES": "",
        }

    def run(
        self, *arguments: str, config: bool = True, read_only: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess:
        """`python run_pipeline.py ARGUMENTS` from a folder that is not the project's.

        As root it can be told that nothing below the folder `read_only` may be written.
        """
        script = self.project / "run_pipeline.py"
        if config:
            arguments = (*arguments, "--config", str(self.folder / "small.yaml"))
        if not READ_AT_IMPORT & set(environment):
            return run_command(script, arguments, self.folder, self.environment() | environment, read_only)
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=self.folder,
            env=self.environment() | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def left_in_scratch(self) -> set[str]:
        return {path.name for path in (self.home / "scratch").iterdir()}

    def steps_run(self, *arguments: str, **environment: str) -> set[str]:
        """Runs the main job and gives the names of the steps that were not cached."""
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        if "nothing changed" in done.stdout:
            return set()
        cached = re.search(r"cached: (.+)", done.stdout)
        return set(STEPS) - set(cached.group(1).split(", ") if cached else []) - {"look"}

    def result(self, *arguments: str, **environment: str) -> dict:
        """Runs the main job with --json and gives what it printed."""
        done = self.run(*arguments, "--json", **environment)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1, done.stdout
        return json.loads(done.stdout)


def small_workspace(folder: Path) -> Workspace:
    """A workspace with the tiny data set and random encoders."""
    made = Workspace(folder)
    made.write_config(write_random_modules(folder / "modules"))
    return made
