"""What a file tells ZenML, held against what ZenML knows: it passes over keys and steps that it does not know."""

import json
import re
from string import Formatter
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from zenml.client import Client
from zenml.config.pipeline_run_configuration import PipelineRunConfiguration
from zenml.config.retry_config import StepRetryConfig
from zenml.config.step_configurations import StepConfigurationUpdate
from zenml.enums import StackComponentType
from zenml.model.model import Model
from zenml.utils.settings_utils import get_general_settings, is_valid_setting_key
from zenml.utils.tag_utils import Tag

import steps
from entailment.configuration.faults import expected, located, unknown_among
from entailment.configuration.loading import RunConfiguration
from entailment.errors import ConfigurationError
from entailment.trials.variants import variants

_NAMES: Final = {*steps.__all__} - {"trial"}
_TRIAL: Final = re.compile(rf"train_({'|'.join(variant.name for variant in variants())}|fold)_[0-9]+")
"""What the steps of trials are called; none is called `trial`."""
_SETTINGS: Final = get_general_settings()
_INSIDE: Final = (StepConfigurationUpdate, StepRetryConfig, Model, Tag)
"""Whose keys may stand below ZenML's own."""


def check_run_options(run: RunConfiguration) -> None:
    """Raises ConfigurationError for keys, steps and values that ZenML does not know, each with its file and line.

    The steps of all our pipelines are known: one file serves several commands. What stands below a component of a
    stack (`settings: orchestrator: ...`) ZenML alone checks: other stacks have other components.
    """
    if faults := _faults(run.options) or _lacking_secrets(run.options):
        raise ConfigurationError(located(faults, "the configuration", run.places))


def _faults(options: Any) -> dict[str, str]:
    """By dotted key what is wrong with it."""
    faults = _faults_of(PipelineRunConfiguration, options) | _faults_of_name(options)
    settings = {"settings": options.get("settings")}
    for name, told in (options.get("steps") or {}).items():
        if name == "trial":
            faults[f"steps.{name}"] = (
                f"steps.{name}: each trial is a step, as train_text_focal_42 or train_fold_1."
            )
        elif name not in _NAMES and not _TRIAL.fullmatch(name):
            faults[f"steps.{name}"] = unknown_among(f"steps.{name}", _NAMES)
        elif isinstance(told, dict):
            settings[f"steps.{name}.settings"] = told.get("settings")
    for key, given in settings.items():
        for name, told in given.items() if isinstance(given, dict) else ():
            faults |= _faults_of_setting(f"{key}.{name}", name, told)
    return faults


def _lacking_secrets(options: Any) -> dict[str, str]:
    faults = {}
    for number, name in enumerate(options.get("secrets") or ()):
        try:
            Client().get_secret(name)
        except KeyError:
            faults[f"secrets.{number}"] = f"secrets.{number}: ZenML has no secret {name!r}."
    return faults


def _faults_of_name(options: Any) -> dict[str, str]:
    known = {"date", "time", *(options.get("substitutions") or {})}
    try:
        named = [name for _, name, *_ in Formatter().parse(options.get("run_name") or "") if name is not None]
    except ValueError as error:
        return {"run_name": f"run_name: {error}. Write {{{{ for a bracket."}
    if unknown := [name for name in named if name not in known]:
        there = ", ".join(f"{{{name}}}" for name in sorted(known))
        return {"run_name": f"run_name: there is no placeholder {{{unknown[0]}}}. There are: {there}."}
    return {}


def _faults_of_setting(key: str, name: str, told: Any) -> dict[str, str]:
    if (kind := _SETTINGS.get(name)) is None:
        known = [*_SETTINGS, *StackComponentType.values()]
        return {} if is_valid_setting_key(name) else {key: unknown_among(key, known)}
    # A function of their own makes these, which passes over what it does not know.
    unknown = [one for one in told if one not in kind.model_fields] if isinstance(told, dict) else ()
    faults = {f"{key}.{one}": unknown_among(f"{key}.{one}", kind.model_fields) for one in unknown}
    return faults | _faults_of(kind, told, key)


def _faults_of(kind: type[BaseModel], told: Any, above: str = "") -> dict[str, str]:
    try:
        # As JSON a name may stand for one of a fixed choice, also where nothing else is converted.
        kind.model_validate_json(json.dumps(told, default=str), strict=True, extra="forbid")
    except ValidationError as error:
        return dict(_fault(fault, told, above) for fault in error.errors())
    return {}


def _fault(fault: Any, told: Any, above: str) -> tuple[str, str]:
    key, *last = above, fault["loc"][-1]
    for part in fault["loc"]:
        # Others than keys and numbers are pydantic's, of the types that a value may have.
        if (isinstance(told, dict) and part in told) or (isinstance(told, list) and isinstance(part, int)):
            key, told = f"{key}.{part}".removeprefix("."), told[part]
    if fault["type"] == "extra_forbidden":
        return key, unknown_among(key, {name for one in _INSIDE for name in one.model_fields})
    said = f"'{last[0]}' is missing" if fault["type"] == "missing" else expected(fault)
    return key, f"{key}: {said}."
