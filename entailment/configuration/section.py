"""What every section of the configuration is, and the kinds of values in it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A group of settings; unknown keys are refused, none changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def dotted(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """All settings below `section` as a flat mapping with dotted keys; a secret is shown as asterisks."""
    flat: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        value = str(value) if isinstance(value, SecretStr) else value
        flat |= dotted(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {prefix + name: value}
    return flat
