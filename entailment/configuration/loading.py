"""The configuration: one validated object, read from `zenml_config.yaml`, a preset and `--set` options.

Later sources win: defaults here, then the file, then the preset, then the command line.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.errors import ConfigurationError

DEFAULT_FILE: Final = "zenml_config.yaml"


PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "keras_example": {
        "seed": 42,
        "images.size": 128,
        "split.method": "stratified",
        "split.test_fraction": 0.10,
        "split.validation_fraction": 0.05,
        "encoders.text.encoder": "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-2_H-256_A-4/1",
        "encoders.text.preprocessor": "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3",
        "encoders.text.output": "pooled_output",
        "encoders.text.sequence_length": 128,
        "encoders.text.encode": "pair",
        "encoders.text.trainable": 0,
        "encoders.image.encoder": "keras:ResNet50V2",
        "encoders.image.trainable": 0,
        "head.pair_features": False,
        "head.projection_layers": 1,
        "head.projection_units": 256,
        "head.dropout": 0.1,
        "head.modality_dropout": 0.0,
        "head.attention": "none",
        "training.loss": "cross_entropy",
        "training.epochs": 10,
        "training.batch_size": 32,
        "training.learning_rate": 0.001,
        "training.patience": 0,
        "training.keep": "last",
    },
}
"""Named sets of overrides. `keras_example` is the Keras example "Multimodal entailment" (Sayak Paul, 2021)."""


def load_configuration(
    file: Path | None = None, preset: str = "default", overrides: Mapping[str, Any] | None = None
) -> Configuration:
    """Reads and validates the configuration.

    `overrides` maps dotted keys ("training.epochs") to values and wins over the preset and the file.

    Raises:
        ConfigurationError: no such file, not YAML, an unknown key (named with the nearest right one) or a
            value out of its range.
    """
    nested = _read_yaml(file) if file else {}
    origin = str(file) if file else "the configuration"
    given = {**PRESETS[preset], **(overrides or {})}
    for key, value in given.items():
        _put(nested, key, value)
    try:
        return Configuration.model_validate(nested)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin, given)) from None


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
    """Every key as YAML that `load_configuration` reads back to an equal configuration, below a comment."""
    lines = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return f"{lines}\n{yaml.safe_dump(configuration.model_dump(mode='json'), sort_keys=False)}"


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no configuration file {file}. Give one with --config FILE."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration file {file} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is not valid YAML: {error}.") from None
    if not isinstance(content or {}, dict):
        raise ConfigurationError(f"{file} must hold keys and values, as zenml_config.yaml does.")
    return _without_empty_sections(content or {})


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


def _explain(error: ValidationError, file: str, given: Mapping[str, Any]) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        origin = "the command line" if key in given else file
        if not key:
            lines.append(f"{file}: {fault['ctx']['error']}")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{origin}: there is no key '{key}'.{_nearest(key, _all_keys())}")
        else:
            lines.append(f"{origin}: {key}: {fault['msg']}. Received: {fault['input']!r}.")
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
