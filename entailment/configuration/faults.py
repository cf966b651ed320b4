"""What is said of a wrong key or value: where it stands, what was expected, and where the key belongs."""

import difflib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

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
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
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
    "enum": "must be {expected}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_too_long": "must have at most {max_length} characters",
}
"""What pydantic's types and bounds are called in a file."""
_SECRETS: Final = tuple(secret_keys(Configuration()))


def explained(error: ValidationError, file: str, places: Mapping[str, str] | None = None) -> str:
    """A line for each fault: where the value was set, its key, and what was expected; `places` as in `located`."""
    return located(dict(map(_fault, error.errors())), file, places or {})


def located(faults: Mapping[str, str], file: str, places: Mapping[str, str]) -> str:
    """A line for each fault, behind the place of its key; `faults` has by dotted key what is said of it.

    `places` has where keys were set: a line of a file, or an option, which is named in place of the key. Others are
    said to be in `file`.

    Example:
        located({"seed": "seed: must be at least 0."}, "c.yaml", {"seed": "--seed"}) == "--seed: must be at least 0."
    """
    return "\n".join(
        _located(key, text, file, places)
        for key, text in faults.items()
        # Of a list with a wrong item it is said too that it is too short.
        if not any(other.startswith(f"{key}.") for other in faults)
    )


def expected(fault: "ErrorDetails") -> str:
    """What should have been there: `must be a whole number`."""
    kind, context = fault["type"], fault.get("ctx", {})
    told = _EXPECTED[kind].format(**context) if kind in _EXPECTED else fault["msg"]
    return told.removeprefix("Value error, ")


def unknown_key(wrong: str) -> str:
    """Says that there is no such key, and where it belongs, or else the nearest one; never the wrong key itself.

    `wrong` is the key as it would stand in a file, from the top: `parameters.configuration.loss`. Ours are shown as
    `training.loss` where it stands among ours.
    """
    inside = INSIDE if wrong.startswith(INSIDE) else ""
    known = {key.removeprefix(inside): key in TOP for key in _all_keys()}
    wrong = wrong.removeprefix(inside)
    return f"there is no key '{wrong}'. {_hint(wrong, known)}"


def unknown_among(wrong: str, known: Collection[str]) -> str:
    """Says that there is no such key, and the nearest of those that may stand in its place, or else all of them."""
    near = _nearest(_parted(wrong)[1], [*known])
    return f"there is no key '{wrong}'. " + (
        f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(sorted(known))}."
    )


def _fault(fault: "ErrorDetails") -> tuple[str, str]:
    """The dotted key of a fault, and what is said of it."""
    kind, key = fault["type"], ".".join(map(str, fault["loc"])).removesuffix(".[key]")
    if kind in ("extra_forbidden", "invalid_key"):
        return key, unknown_key(INSIDE + key)
    if kind == "rule":
        key = f"{key}.{fault['ctx']['key']}".removeprefix(".")
        return key, f"{key}: {fault['msg']}"
    # A secret may also lie in what stands in place of its section.
    hidden = any(f"{secret}.".startswith(f"{key}.") or key.startswith(f"{secret}.") for secret in _SECRETS)
    return key, f"{key}: {expected(fault)}." + ("" if hidden else f" Received: {fault['input']!r}.")


def _located(key: str, text: str, file: str, places: Mapping[str, str]) -> str:
    """`text` behind the place of its key, or of the nearest one above it."""
    above = key
    while above and above not in places:
        above = above.rpartition(".")[0]
    place = places.get(above, file)
    if place.startswith("--") and above == key:
        text = text.removeprefix(f"{key}: ")
    return f"{place}: {text}"


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
