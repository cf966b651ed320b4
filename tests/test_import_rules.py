"""Who may import whom (docs/architecture.md), and that nothing unpickles."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
ROOMS = ("commands", "summaries", "entailment", "steps", "pipelines", "materializers", "stacks", "tracking")
ABOVE_THE_CORE = {"summaries", "pipelines", "stacks", "steps", "materializers", "tracking"}
FORBIDDEN = {
    "commands": set(),
    "summaries": {"zenml", "mlflow", "steps", "materializers", "click"},
    "entailment": {"zenml", "mlflow", "click", *ABOVE_THE_CORE},
    "tracking": {"zenml", "click", *ABOVE_THE_CORE} - {"tracking"},
    "materializers": {"mlflow", "click", *ABOVE_THE_CORE} - {"materializers"},
    "steps": {"mlflow", "pipelines", "stacks", "summaries", "click"},
    "pipelines": {"mlflow", "materializers", "summaries", "click"},
    "stacks": {"steps", "pipelines", "materializers", "summaries"},
}
HEAVY = {
    "tensorflow",
    "keras",
    "keras_hub",
    "tensorflow_hub",
    "mlflow",
    "zenml",
    "matplotlib",
    "sklearn",
    "optuna",
}
# From the ground up: each package or module of the core imports only those before it.
FLOORS = (
    *(
        "errors",
        "disks",
        "files",
        "progress",
        "shared_store",
        "task",
        "metric_names",
        "losses",
        "configuration",
    ),
    *("workspace", "statistics", "data", "encoders", "inputs", "records", "model", "serving", "evaluation"),
    *("trials", "promotion", "reporting"),
)
UNPICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# The one reader of a legacy checkpoint: it admits tensors and nothing else.
MAY_UNPICKLE = {"entailment/encoders/torch_checkpoint.py"}


def modules():
    return [path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py"))]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PROJECT).as_posix())
def test_a_module_imports_only_what_its_room_may(path):
    name = path.relative_to(PROJECT).as_posix()
    room, found = name.partition("/")[0], set(imported(path))
    assert not found & FORBIDDEN[room]
    assert room == "commands" or "commands" not in found
    assert "run_pipeline" not in found
    if name not in MAY_UNPICKLE:
        assert not found & UNPICKLERS


def core():
    return [path for path in modules() if path.is_relative_to(PROJECT / "entailment")]


@pytest.mark.parametrize("path", core(), ids=lambda p: p.relative_to(PROJECT).as_posix())
def test_a_floor_of_the_core_imports_only_those_below(path):
    """Also inside functions and for types alone; a package that is on no floor is found too."""
    inside = path.relative_to(PROJECT / "entailment").with_suffix("").parts
    if inside == ("__init__",):
        return
    below = FLOORS[: FLOORS.index(inside[0]) + 1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = ("entailment", *inside[: -node.level]) if node.level else ()
            names = [*above, *(node.module or "").split(".")]
            if names[0] == "entailment":
                wanted = names[1:2] or [alias.name for alias in node.names]
                assert set(wanted) <= set(below), f"{path.name} imports {wanted} of a floor above"


@pytest.mark.parametrize("path", core(), ids=lambda p: p.relative_to(PROJECT).as_posix())
def test_the_core_is_told_where_things_lie(path):
    assert "entailment.workspace" not in path.read_text()


def loaded_by(*names):
    code = f"import sys, importlib; [importlib.import_module(n) for n in {names}]; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_core_imports_fast_and_light():
    names = [
        path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")
        for path in sorted((PROJECT / "entailment").rglob("*.py"))
        # A Keras layer cannot be defined without Keras: that module says so and is imported late.
        if path.name not in ("__init__.py", "layers.py")
    ]
    assert not loaded_by(*names) & HEAVY


def test_the_command_line_starts_without_anything_heavy():
    """All commands are known and nothing that computes, reads tables or validates is loaded before one runs."""
    loaded = loaded_by("run_pipeline")
    commands = {f"commands.{path.stem}" for path in (PROJECT / "commands").glob("*.py")}
    assert commands - {"commands.__init__"} <= loaded
    assert not loaded & (HEAVY | {"numpy", "pandas", "pyarrow", "pydantic", "yaml", "rich", "requests"})
