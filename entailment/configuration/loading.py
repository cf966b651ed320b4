"""The configuration: one validated object, read from `zenml_config.yaml`, a preset and `--set` options.

Later sources win: defaults here, then the file, then the preset, then the command line.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from entailment.configuration.configuration import Configuration
from entailment.configuration.faults import INSIDE, TOP, explained, unknown_key
from entailment.configuration.run_options import RunOptions
from entailment.configuration.section import dotted
from entailment.configuration.yaml_faults import yaml_fault
from entailment.errors import ConfigurationError

DEFAULT_FILE: Final = "zenml_config.yaml"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunConfiguration:
    """A file as a run is configured by it."""

    configuration: Configuration
    options: Mapping[str, Any]
    """What ZenML itself is told (`enable_cache`, `tags`, `settings`, `steps`, `model` ...), as far as it is given."""
    places: Mapping[str, str] = field(default_factory=dict)
    """By dotted key where that stands: `FILE, line 7`."""


def load_configuration(
    file: Path | None = None, preset: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Configuration:
    """Reads and validates our part of a configuration file: as `load_run_configuration`, without ZenML's."""
    return load_run_configuration(file, preset, overrides).configuration


def load_run_configuration(
    file: Path | None = None,
    preset: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    named: Mapping[str, str] | None = None,
) -> RunConfiguration:
    """Reads and validates the configuration of a run.

    A file is a ZenML run configuration with our settings under `parameters: configuration:`. `preset` is another one,
    laid over it; `overrides` maps dotted keys ("training.epochs") to values and wins over both; `named` has the
    options that they come by, where it is not `--set`. A file that holds our keys at its top, as they were kept
    before, is read with a warning.

    Raises:
        ConfigurationError: no such file, not YAML, an unknown key (named with its line and where it belongs, or the
            nearest right one), or a value of another type or out of its range.
    """
    nested: dict[str, Any] = {}
    options: dict[str, Any] = {}
    places: dict[str, str] = {}
    places_of_options: dict[str, str] = {}
    for path in filter(None, (file, preset)):
        told = _read(path)
        _lay_over(nested, told.settings)
        _lay_over(options, told.options)
        places |= told.places
        places_of_options |= told.places_of_options
    for key, value in (overrides or {}).items():
        _put(nested, key, value)
        places[key] = (named or {}).get(key, f"--set {key}")
    origin = str(file or preset or "the configuration")
    try:
        return RunConfiguration(Configuration.model_validate(nested), options, places_of_options)
    except ValidationError as error:
        raise ConfigurationError(explained(error, origin, places)) from None


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turns `a.b=value` texts (of `--set`) into dotted overrides; values are read as YAML.

    Raises:
        ConfigurationError: no `=`, an unknown key or a value that is no YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise ConfigurationError(
                f"--set must be KEY=VALUE, as in training.epochs=5. Received: {assignment!r}."
            )
        known = dotted(Configuration())
        if key not in known:
            inside = next((name for name in known if name.startswith(f"{key}.")), "")
            section = f"'{key}' is a section: name a key in it, as {inside}."
            raise ConfigurationError(f"--set: {section if inside else unknown_key(INSIDE + key)}")
        if not value.strip():
            raise ConfigurationError(
                f"--set {key}=: a value is missing behind the =. Write null where there is to be none."
            )
        try:
            overrides[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            # It may be a secret.
            raise ConfigurationError(f"--set {key}: the value is no YAML. Put it in quotes.") from None
    return overrides


def with_values(configuration: Configuration, values: Mapping[str, Any]) -> Configuration:
    """The configuration with other values for some dotted keys. Raises ConfigurationError as `load_configuration`."""
    nested = configuration.model_dump()
    for key, value in values.items():
        _put(nested, key, value)
    try:
        return Configuration.model_validate(nested)
    except ValidationError as error:
        raise ConfigurationError(explained(error, "the configuration")) from None


def as_yaml(configuration: Configuration, comment: str) -> str:
    """Every key as YAML that `load_configuration` reads back to an equal configuration, below a comment.

    A webhook is a secret and not written: a run by that file has none.
    """
    if configuration.schedule.alert_url:
        comment += "\nschedule.alert_url is a secret and not in here: set it in a file of your own."
        schedule = configuration.schedule.model_copy(update={"alert_url": None})
        configuration = configuration.model_copy(update={"schedule": schedule})
    lines = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    content = {"parameters": {"configuration": configuration.model_dump(mode="json")}}
    return f"{lines}\n{yaml.safe_dump(content, sort_keys=False)}"


@dataclass(frozen=True)
class _File:
    settings: dict[str, Any]
    options: dict[str, Any]
    places: dict[str, str]
    """By dotted key of a setting where it stands: `FILE, line 7`."""
    places_of_options: dict[str, str] = field(default_factory=dict)
    """The same of what ZenML is told."""


def _read(file: Path) -> _File:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no configuration file {file}. Give one with --config FILE."
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{file}, line {line}: it is no UTF-8. Save the file as UTF-8.") from None
    except OSError as error:
        raise ConfigurationError(f"The configuration file {file} cannot be read: {error.strerror}.") from None
    try:
        content = yaml.safe_load(text) or {}
        tree = yaml.compose(text, yaml.SafeLoader)
        _refuse_repeated(file, tree)
        lines = {key: f"{file}, line {line}" for key, line in _lines(tree)}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not valid YAML: {yaml_fault(error, text)}.") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file} must hold keys and values, as zenml_config.yaml does.")
    if not content.keys() & {*TOP, "configuration"}:
        if content:
            _LOG.warning(
                "%s holds our settings at its top. They belong below two lines now, indented by four blanks:\n"
                "parameters:\n  configuration:\n    %s: ...",
                file,
                next(iter(content)),
            )
        _check_sections(content, lines, file)
        return _File(_without_empty_sections(content), {}, lines)
    parameters = content.pop("parameters", None) or {}
    if not isinstance(parameters, dict):
        raise ConfigurationError(f"{lines['parameters']}: it must hold keys and values.")
    _refuse_others(content, TOP, "", lines)
    _refuse_others(parameters, ("configuration",), "parameters.", lines)
    settings = parameters.get("configuration") or {}
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{lines['parameters.configuration']}: it must hold keys and values.")
    try:
        RunOptions.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(explained(error, str(file), lines)) from None
    inside = {key.removeprefix(INSIDE): line for key, line in lines.items() if key.startswith(INSIDE)}
    _check_sections(settings, inside, file)
    return _File(_without_empty_sections(settings), content, inside, lines)


def _refuse_others(
    keys: Iterable[Any], allowed: Iterable[str], prefix: str, lines: Mapping[str, str]
) -> None:
    """Raises ConfigurationError for the first key that is not allowed."""
    for wrong in (f"{prefix}{key}" for key in keys if key not in allowed):
        raise ConfigurationError(f"{lines.get(wrong, 'the configuration')}: {unknown_key(wrong)}")


def _lines(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, int]]:
    """The dotted keys of a YAML file, and the numbers of items, with the lines that they stand in, from 1."""
    below: Iterable[tuple[Any, yaml.Node, yaml.Node]] = ()
    if isinstance(node, yaml.MappingNode):
        below = ((name.value, name, value) for name, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        below = ((number, item, item) for number, item in enumerate(node.value))
    for name, place, value in below:
        yield f"{prefix}{name}", place.start_mark.line + 1
        yield from _lines(value, f"{prefix}{name}.")


def _refuse_repeated(file: Path, node: yaml.Node | None, prefix: str = "") -> None:
    """Raises ConfigurationError where a key stands twice: YAML would take the second and drop the first."""
    seen: dict[str, int] = {}
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        key, line = f"{prefix}{name.value}", name.start_mark.line + 1
        if key in seen and name.tag != "tag:yaml.org,2002:merge":
            raise ConfigurationError(
                f"{file}, line {line}: '{key}' stands in line {seen[key]} already. Put what belongs to it in one"
                " place."
            )
        seen[key] = line
        _refuse_repeated(file, value, f"{key}.")


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Puts the values of one tree of settings over those of another."""
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict) and key != "label_map":
            _lay_over(below[key], value)
        else:
            below[key] = value


def _without_empty_sections(content: dict[str, Any]) -> dict[str, Any]:
    """A section whose keys are all deleted reads as None: its defaults hold."""
    sections = _sections()
    kept: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            kept[key] = {k: v for k, v in value.items() if v is not None or f"{key}.{k}" not in sections}
        elif value is not None or key not in sections:
            kept[key] = value
    return kept


def _sections() -> set[str]:
    return {key.rpartition(".")[0] for key in dotted(Configuration())} | {"encoders"}


def _check_sections(settings: Mapping[str, Any], lines: Mapping[str, str], file: Path) -> None:
    """Raises ConfigurationError for a section that holds no keys: an option in it would take its place unseen."""
    for section in sorted(_sections() - {""}):
        above, _, last = section.rpartition(".")
        around = settings.get(above, {}) if above else settings
        value = around.get(last) if isinstance(around, dict) else None
        if value is not None and not isinstance(value, dict):
            raise ConfigurationError(f"{lines.get(section, file)}: {section}: must hold keys and values.")


def _put(nested: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(nested.get(parent), dict):
            nested[parent] = {}
        nested = nested[parent]
    nested[last] = value
