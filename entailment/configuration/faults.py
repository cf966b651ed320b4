"""What is said of a wrong key or value: where it stands, what was expected, and where the key belongs."""

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from entailment.configuration.configuration import Configuration
from entailment.configuration.run_options import RunOptions
from entailment.configuration.section import dotted, secret_keys

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

INSIDE: Final = "parameters.configuration."
"""Below this stand our settings in a file."""
TOP: Final = (*RunOptions.model_fields, "parameters")
"""What stands at the top of a file: ZenML's run configuration."""
_EXPECTED: Final = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text, in quotes where it looks like something else",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
}
"""What pydantic's types and bounds are called in a file."""
_SECRETS: Final = tuple(secret_keys(Configuration()))


def explained(
    error: ValidationError, file: str, given: Mapping[str, Any], lines: Mapping[str, str] | None = None
) -> str:
    """A line for each fault: where the value was set, its key, and what was expected.

    `lines` has the places of keys in files, `given` the keys of the command line; others are said to be in `file`.
    """
    told = dict(map(_fault, error.errors()))
    return "\n".join(
        f"{_origin(key, given, lines or {}) or file}: {text}"
        for key, text in told.items()
        # Of a list with a wrong item it is said too that it is too short.
        if not any(other.startswith(f"{key}.") for other in told)
    )


def unknown_key(wrong: str) -> str:
    """Says that there is no such key, and where it belongs, or else the nearest one; never the wrong key itself.

    `wrong` is the key as it would stand in a file, from the top: `parameters.configuration.loss`. Ours are shown as
    `training.loss` where it stands among ours.
    """
    inside = INSIDE if wrong.startswith(INSIDE) else ""
    known = {key.removeprefix(inside): key in TOP for key in _all_keys()}
    wrong = wrong.removeprefix(inside)
    return f"there is no key '{wrong}'. {_hint(wrong, known)}"


def _fault(fault: "ErrorDetails") -> tuple[str, str]:
    """The dotted key of a fault, and what is said of it."""
    kind, key = fault["type"], ".".join(map(str, fault["loc"])).removesuffix(".[key]")
    if kind in ("extra_forbidden", "invalid_key"):
        return key, unknown_key(INSIDE + key)
    text, context = fault["msg"].removeprefix("Value error, "), fault.get("ctx", {})
    if kind == "rule":
        key = f"{key}.{context['key']}".removeprefix(".")
        return key, f"{key}: {text}"
    expected = _EXPECTED[kind].format(**context) if kind in _EXPECTED else text
    # A secret may also lie in what stands in place of its section.
    hidden = any(f"{secret}.".startswith(f"{key}.") or key.startswith(f"{secret}.") for secret in _SECRETS)
    return key, f"{key}: {expected}." + ("" if hidden else f" Received: {fault['input']!r}.")


def _origin(key: str, given: Mapping[str, Any], lines: Mapping[str, str]) -> str:
    """Where a key, or the nearest one above it, was set; "" where that is not known."""
    while key:
        if key in given or key in lines:
            return "the command line" if key in given else lines[key]
        key = key.rpartition(".")[0]
    return ""


def _hint(wrong: str, known: Mapping[str, bool]) -> str:
    """`known`: every key and section, and whether it stands at the top of a file."""
    above, name = _parted(wrong)
    if wrong in known and not known[wrong]:
        return f"Write {wrong.replace('.', ': {')}: ...{'}' * wrong.count('.')}."
    elsewhere = [key for key in known if _parted(key)[1] == name]
    if elsewhere == [name] and not known[name]:
        return f"'{name}' stands outside all sections: {name}: ..."
    if elsewhere:
        return f"'{name}' belongs to {' or '.join(_place(key, at_top=known[key]) for key in elsewhere)}."
    beside = [key for key in known if _parted(key)[0] == above]
    found = _nearest(name, beside) or _nearest(name, [*known])
    meant = " or ".join(f"'{key}'" for key in found)
    return f"Did you mean {meant}?" if meant else "zenml_config.yaml lists every key."


def _place(key: str, *, at_top: bool) -> str:
    if at_top:
        return "the top of the file"
    above, _ = _parted(key)
    return f"the section '{above}' ('{key}')" if above else f"what stands outside all sections ('{key}')"


def _nearest(name: str, keys: list[str]) -> list[str]:
    """Those of the keys whose last part is the most like `name`."""
    near = difflib.get_close_matches(name.lower(), [_parted(key)[1] for key in keys], n=1)
    return [key for key in keys if _parted(key)[1] in near]


def _parted(key: str) -> tuple[str, str]:
    """The section, "" where there is none, and the last part."""
    above, _, name = key.rpartition(".")
    return above, name


def _all_keys() -> list[str]:
    """Every key and section as a file has them."""
    ours = [INSIDE + key for key in dotted(Configuration())]
    sections = {key.rpartition(".")[0] for key in ours} | {f"{INSIDE}encoders"}
    return [*TOP, *sorted(sections), *ours]
