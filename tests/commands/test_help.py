"""What the command line says of itself holds: its examples are understood, wrong use ends with one object."""

import json
import re
import shlex
import subprocess
import sys

import click
import pytest

import run_pipeline
from commands.examples import EXIT_CODES
from commands.options import KEYS
from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.losses import LOSSES
from run_pipeline import cli

HELPS = {"the group": cli, **cli.commands}


def examples(command):
    """The arguments of each example in the epilog; two spaces end them, a remark may follow."""
    lines = re.findall(r"python run_pipeline\.py(.*)", command.epilog or "")
    return [shlex.split(re.split(r" {2,}", line)[0]) for line in lines]


@pytest.mark.parametrize("name", HELPS)
def test_each_help_has_examples_that_the_parser_understands(name):
    found = examples(HELPS[name])
    assert len(found) >= 2
    for arguments in found:
        called = "train" if not arguments or arguments[0].startswith("-") else arguments.pop(0)
        cli.commands[called].make_context(called, arguments)


@pytest.mark.parametrize("name", HELPS)
def test_each_help_fits_and_tells_exit_codes_and_defaults(name):
    command = HELPS[name]
    lines = command.get_help(click.Context(command, info_name=name, terminal_width=80)).splitlines()
    assert all(len(line) <= 80 for line in lines) and EXIT_CODES in " ".join(" ".join(lines).split())
    assert not any(line.endswith("...") and not line.startswith("Usage") for line in lines)
    defaults = dotted(Configuration())
    for option in (option for option in command.params if option.name in KEYS and option.name != "images"):
        assert option.show_default.split("; ")[0] == str(defaults[KEYS[option.name]])
    for option in command.params:
        named = isinstance(option, click.Option) and not option.is_flag and not option.multiple
        assert not named or not isinstance(option.default, str | int) or option.show_default
        assert not named or option.help


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "No such command 'trian'"),
        (["promote"], "Missing argument 'VERSION'"),
        (["tune", "--trials", "0"], "--trials"),
        (["promote", "latest"], "'latest' is not a valid integer"),
        (["promote", "99999999999999999999"], "is not in the range 1<=x<=2147483647"),
        (["cache", "--prune", "lots"], "must be a size as 500MB or 2GB"),
        (["cache", "--prune", ""], "The value behind --prune is empty."),
        (["promote", ""], "The value behind promote is empty."),
        (["--config="], "The value behind --config is empty."),
        (["tune", "--output", "."], "--output must be a file."),
        (["tune", "--output", "/proc/none/x.yaml"], "--output: no file can be written in /proc/none"),
        (["--epochs", "0"], "--epochs: must be at least 1. Received: 0."),
        (["compare", "--seeds", "2", "--seed", "2147483647"], "--seeds: the last seed would be 2147483648"),
        (["compare", "--seed=-1"], "--seed: must be at least 0. Received: -1."),
        (["schedule", "--cron", "0 3 * * 1", "--epochs", "0"], "--epochs: must be at least 1. Received: 0."),
        (["--seed", "x"], "--seed"),
    ],
)
def test_wrong_use_ends_with_2_and_one_object(monkeypatch, capfd, arguments, words):
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *arguments, "--json"])
    with pytest.raises(SystemExit) as ended:
        run_pipeline.main()
    out, err = capfd.readouterr()
    assert ended.value.code == 2
    assert words in json.loads(out)["error"] and words in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--set", "inputs=text"], [f"text_{loss}" for loss in LOSSES]),
        (["--inputs", "image", "--set", "training.loss=focal"], ["image_focal"]),
    ],
)
def test_a_comparison_is_restricted_however_it_is_said(monkeypatch, arguments, names):
    import commands.training
    from pipelines import runner

    class ChosenError(BaseException):
        """No failure that a command would tell."""

    def run(run_configuration, chosen, seeds, use_cache):
        raise ChosenError(run_configuration.configuration.inputs, [variant.name for variant in chosen])

    monkeypatch.setattr(commands.training, "use_stack", lambda name, configuration: None)
    monkeypatch.setattr(runner, "run_comparison", run)
    with pytest.raises(ChosenError) as told:
        cli.commands["compare"].main(arguments, standalone_mode=False)
    assert told.value.args == (names[0].split("_")[0], names)


def test_the_version_is_told_with_those_of_the_libraries():
    script = [sys.executable, run_pipeline.__file__, "--version"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    told = r"multimodal-entailment \d+\.\d+\.\d+ \(zenml [^,]+, mlflow [^,]+, .*Python 3\.\d+\.\d+\)"
    assert re.fullmatch(told, done.stdout.strip())
