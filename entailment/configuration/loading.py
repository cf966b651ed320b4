"""The configuration: one validated object, read from `zenml_config.yaml`, a preset and `--set` options.

Later sources win: defaults here, then the file, then the preset, then the command line.
"""

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.errors import ConfigurationError

DEFAULT_FILE: Final = "zenml_config.yaml"
RUN_KEYS: Final = (
    *("enable_cache", "tags", "settings", "steps", "model", "parameters", "run_name", "retry", "extra"),
    *("enable_step_logs", "enable_artifact_metadata", "enable_artifact_visualization", "environment"),
    *("secrets", "substitutions"),
)
"""What stands at the top of a file: ZenML's run configuration."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunConfiguration:
    """A file as a run is configured by it."""

    configuration: Configuration
    options: Mapping[str, Any]
    """What ZenML itself is told (`enable_cache`, `tags`, `settings`, `steps`, `model` ...), as far as it is given."""


def load_configuration(
    file: Path | None = None, preset: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Configuration:
    """Reads and validates our part of a configuration file: as `load_run_configuration`, without ZenML's."""
    return load_run_configuration(file, preset, overrides).configuration


def load_run_configuration(
    file: Path | None = None, preset: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> RunConfiguration:
    """Reads and validates the configuration of a run.

    A file is a ZenML run configuration with our settings under `parameters: configuration:`. `preset` is another one,
    laid over it; `overrides` maps dotted keys ("training.epochs") to values and wins over both. A file that holds our
    keys at its top, as they were kept before, is read with a warning.

    Raises:
        ConfigurationError: no such file, not YAML, an unknown key (named with its line and the nearest right one) or
            a value out of its range.
    """
    nested: dict[str, Any] = {}
    options: dict[str, Any] = {}
    lines: dict[str, str] = {}
    for path in filter(None, (file, preset)):
        told = _read(path)
        _lay_over(nested, told.settings)
        _lay_over(options, told.options)
        lines |= told.lines
    given = dict(overrides or {})
    for key, value in given.items():
        _put(nested, key, value)
    origin = str(file or preset or "the configuration")
    try:
        return RunConfiguration(Configuration.model_validate(nested), options)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin, given, lines)) from None


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turns `a.b=value` texts (of `--set`) into dotted overrides; values are read as YAML.

    Raises:
        ConfigurationError: no `=`, an unknown key or a value that is no YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigurationError(
                f"--set must be KEY=VALUE, as in training.epochs=5. Received: {assignment}"
            )
        if key not in dotted(Configuration()):
            raise ConfigurationError(
                f"--set: there is no key '{key}'.{_nearest(key, dotted(Configuration()))}"
            )
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"--set {key}: '{value}' is not a YAML value ({error}).") from None
    return overrides


def with_values(configuration: Configuration, values: Mapping[str, Any]) -> Configuration:
    """The configuration with other values for some dotted keys. Raises ConfigurationError as `load_configuration`."""
    nested = configuration.model_dump()
    for key, value in values.items():
        _put(nested, key, value)
    try:
        return Configuration.model_validate(nested)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, "the configuration", values)) from None


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
    lines: dict[str, str]
    """By dotted key of a setting where it stands: `FILE, line 7`."""


def _read(file: Path) -> _File:
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text) or {}
        tree = yaml.compose(text, yaml.SafeLoader)
        _refuse_repeated(file, tree)
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no configuration file {file}. Give one with --config FILE."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration file {file} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is not valid YAML: {error}.") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{file} must hold keys and values, as zenml_config.yaml does.")
    lines = {key: f"{file}, line {line}" for key, line in _lines(tree)}
    if "parameters" not in content and not content.keys() & set(RUN_KEYS):
        if content:
            _LOG.warning(
                "%s holds our settings at its top. They belong below two lines now, indented by four blanks:\n"
                "parameters:\n  configuration:\n    %s: ...",
                file,
                next(iter(content)),
            )
        return _File(_without_empty_sections(content), {}, lines)
    parameters = content.pop("parameters", None) or {}
    inside = "parameters.configuration."
    if not isinstance(parameters, dict):
        raise ConfigurationError(f"{lines['parameters']}: it must hold keys and values.")
    ours = [inside + name for name in _all_keys()]
    _refuse_others(content, RUN_KEYS, "", [*RUN_KEYS, *ours], lines)
    _refuse_others(parameters, ("configuration",), "parameters.", ["parameters.configuration"], lines)
    settings = parameters.get("configuration") or {}
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{lines['parameters.configuration']}: it must hold keys and values.")
    lines = {key.removeprefix(inside): line for key, line in lines.items() if key.startswith(inside)}
    return _File(_without_empty_sections(settings), content, lines)


def _refuse_others(
    keys: Iterable[Any], allowed: Iterable[str], prefix: str, known: list[str], lines: Mapping[str, str]
) -> None:
    """Raises ConfigurationError for the first key that is not allowed, with the nearest of `known`."""
    for wrong in (f"{prefix}{key}" for key in keys if key not in allowed):
        raise ConfigurationError(
            f"{lines.get(wrong, 'the configuration')}: there is no key '{wrong}'.{_nearest(wrong, known)}"
        )


def _lines(node: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, int]]:
    """The dotted keys of a YAML file with the lines that they stand in, from 1."""
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        key = f"{prefix}{name.value}"
        yield key, name.start_mark.line + 1
        yield from _lines(value, f"{key}.")


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
    sections = {key.rpartition(".")[0] for key in dotted(Configuration())} | {"encoders"}
    kept: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            kept[key] = {k: v for k, v in value.items() if v is not None or f"{key}.{k}" not in sections}
        elif value is not None or key not in sections:
            kept[key] = value
    return kept


def _put(nested: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(nested.get(parent), dict):
            nested[parent] = {}
        nested = nested[parent]
    nested[last] = value


def _explain(
    error: ValidationError, file: str, given: Mapping[str, Any], found: Mapping[str, str] | None = None
) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        origin = "the command line" if key in given else (found or {}).get(key, file)
        if not key:
            lines.append(f"{file}: {fault['ctx']['error']}")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{origin}: there is no key '{key}'.{_nearest(key, _all_keys())}")
        else:
            lines.append(
                f"{origin}: {key}: {fault['msg'].removeprefix('Value error, ')}. Received: {fault['input']!r}."
            )
    return "\n".join(lines)


def _all_keys() -> list[str]:
    keys = list(dotted(Configuration()))
    return keys + sorted({key.rpartition(".")[0] for key in keys} - {""})


def _nearest(key: str, keys: Iterable[str]) -> str:
    by_last_part = {name.rpartition(".")[2]: name for name in keys}
    close = difflib.get_close_matches(key, list(keys), n=1, cutoff=0.5)
    close = close or [
        by_last_part[n] for n in difflib.get_close_matches(key.rpartition(".")[2], by_last_part, n=1)
    ]
    return f" Did you mean '{close[0]}'?" if close else " zenml_config.yaml lists every key."
