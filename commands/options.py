"""The options that commands share, and what they name: the configuration and the stack."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from entailment.losses import LOSSES
from entailment.task import INPUTS
from stacks.environment import prepare_environment

if TYPE_CHECKING:
    from entailment.configuration.loading import RunConfiguration


class Integers(click.IntRange):
    """Whole numbers from one to another; what is none of them is no valid integer."""

    name = "integer"


def json_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --json, the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")(command)


KEYS: Final = {
    "dataset": "dataset.source",
    "images": "dataset.images",
    "missing_images": "images.missing",
    "inputs": "inputs",
    "loss": "training.loss",
    "epochs": "training.epochs",
    "seed": "seed",
}
"""The configuration's keys, dotted, that options stand for; their help shows what `zenml_config.yaml` has."""

_PRESETS = Path(__file__).resolve().parent.parent / "configs"

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    show_default="zenml_config.yaml",
    help="The configuration; defaults in parentheses are those of zenml_config.yaml.",
)

set_option = click.option(
    "--set", "assignments", multiple=True, metavar="a.b=value", help="Any key of the configuration."
)

_RUN_OPTIONS = (
    config_option,
    click.option(
        "--preset",
        type=click.Choice(["default", *sorted(file.stem for file in _PRESETS.glob("*.yaml"))]),
        default="default",
        show_default=True,
        help="A file of configs/, laid over the configuration. keras_example: encoders (a small BERT, "
        "keras:ResNet50V2), split, head, loss and epochs of the Keras example.",
    ),
    click.option(
        "--dataset",
        metavar="sample|tweets|NAME|FILE.csv",
        show_default="sample",
        help="Generated sample, real tweets, what was added to NAME (NAME@2: its version 2), or your own pairs.",
    ),
    click.option(
        "--images", type=click.Path(path_type=Path), help="Folder of <id>.<ext> files, for FILE.csv."
    ),
    click.option(
        "--missing-images",
        type=click.Choice(["mask", "drop", "error"]),
        show_default="mask",
        help="What to do without an image.",
    ),
    click.option(
        "--inputs",
        type=click.Choice(INPUTS),
        show_default="multimodal; compare: each",
        help="What the model sees.",
    ),
    click.option(
        "--loss",
        type=click.Choice(list(LOSSES)),
        show_default="cross_entropy; compare: each",
        help="What training minimises.",
    ),
    click.option("--epochs", type=int, show_default="40", help="Epochs at most."),
    click.option("--seed", type=int, show_default="42", help="Seed of every random choice."),
    click.option(
        "--stack",
        metavar="NAME",
        show_default="a local one, made if absent; schedule: airflow",
        help="ZenML stack to run on.",
    ),
    click.option(
        "--no-cache", is_flag=True, help="Run every step again; retrain, schedule: also when nothing is new."
    ),
    set_option,
    json_option,
)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that runs a pipeline on a data set."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


def run_configuration_from(options: dict[str, Any]) -> "RunConfiguration":
    """The validated configuration that the options of a run name, with what its file tells ZenML.

    Raises ConfigurationError.
    """
    from entailment.configuration.loading import DEFAULT_FILE, load_run_configuration, parse_assignments
    from entailment.workspace import PROJECT

    preset = None if options["preset"] == "default" else _PRESETS / f"{options['preset']}.yaml"
    assigned = parse_assignments(options["assignments"])
    named = {key: f"--{name.replace('_', '-')}" for name, key in KEYS.items() if key not in assigned}
    return load_run_configuration(
        options["config"] or PROJECT / DEFAULT_FILE, preset, given_keys(options), named
    )


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --config and --set, the arguments of `model_name`: which model is meant, where there are several."""
    return config_option(set_option(command))


def model_name(config: Path | None, assignments: Sequence[str]) -> str:
    """What a configuration file, without one `zenml_config.yaml`, and --set call experiment and registered model."""
    from entailment.configuration.loading import DEFAULT_FILE, load_configuration, parse_assignments
    from entailment.workspace import PROJECT

    given = parse_assignments(assignments)
    return load_configuration(config or PROJECT / DEFAULT_FILE, overrides=given).task.name


def given_keys(options: dict[str, Any]) -> dict[str, Any]:
    """The configuration's keys, dotted, that the options of a run set."""
    from entailment.configuration.loading import parse_assignments

    return _overrides(options) | parse_assignments(options["assignments"])


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    given = {key: options[name] for name, key in KEYS.items() if options[name] is not None}
    return {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}


def use_stack(name: str | None, run: "RunConfiguration") -> None:
    """Selects the stack for this process, without a name the local one.

    Raises ConfigurationError if it is absent, or where ZenML is told what it does not know.
    """
    prepare_environment(keep_zenml=name is not None)
    from stacks.libraries import prepare_libraries

    prepare_libraries(told=True)
    if name is None:
        from stacks.local import use_local_stack

        use_local_stack(run.configuration.task.name)
    else:
        from stacks.named import use_named_stack

        use_named_stack(name)
    # What it imports has ZenML make its database, if the stack has not.
    from pipelines.run_options import check_run_options

    check_run_options(run)
