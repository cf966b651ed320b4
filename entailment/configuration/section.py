"""What every section of the configuration is, and the kinds of values in it."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

_EXPONENT: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")


def _with_exponent(value: Any) -> Any:
    """`1e-4` and `1.5e3` are numbers to everybody but YAML 1.1, which asks for a point and a sign."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


Number = Annotated[float, BeforeValidator(_with_exponent)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A group of settings; unknown keys are refused, none changes.

    A value is of its key's type and not converted: 5 is a number, "5" and 5.0 are no whole numbers, "yes" is text.
    Three things count as what they mean: a whole number where any number may stand, a number with an exponent in
    whatever form (`1e-4`, which YAML takes for text, and so "1e-4" too), and a list for a tuple.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def broken_rule(key: str, said: str) -> PydanticCustomError:
    """What a rule over several keys of a section raises: which of them is wrong, and what was expected."""
    return PydanticCustomError("rule", "{said}", {"key": key, "said": said})


def secret_keys(section: BaseModel, prefix: str = "") -> Iterator[str]:
    """The dotted keys below `section` whose values are shown nowhere."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from secret_keys(value, f"{prefix}{name}.")
        elif SecretStr in get_args(field.annotation):
            yield prefix + name


def dotted(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """All settings below `section` as a flat mapping with dotted keys; a secret is shown as asterisks."""
    flat: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        value = str(value) if isinstance(value, SecretStr) else value
        flat |= dotted(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {prefix + name: value}
    return flat
