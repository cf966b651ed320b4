"""What every section of the configuration is, and the kinds of values in it."""

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

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
    Two things count as what they mean: a whole number where any number may stand, and a list for a tuple.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def dotted(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """All settings below `section` as a flat mapping with dotted keys; a secret is shown as asterisks."""
    flat: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        value = str(value) if isinstance(value, SecretStr) else value
        flat |= dotted(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {prefix + name: value}
    return flat
