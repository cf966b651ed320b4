"""The networks that turn inputs into features, one section for each kind of input."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, create_model, model_validator

from entailment.configuration.section import Section, broken_rule
from entailment.task import KINDS, kinds_of


def _known_amount(amount: Any) -> Any:
    if amount != "all" and (type(amount) is not int or amount < 0):
        raise ValueError("must be all, or a whole number: how many of the last layers")
    return amount


Trainable = Annotated[Literal["all"] | int, BeforeValidator(_known_amount)]


class TextEncoder(Section):
    """The text encoder: TF-Hub handles, local folders or built-in names; without a preprocessor it takes strings."""

    encoder: str = "minilm"
    preprocessor: str | None = "bert-uncased-preprocess"
    output: str = "pooled_output"
    sequence_length: Annotated[int, Field(ge=8, le=512)] = 128
    encode: Literal["each", "pair"] = "each"
    trainable: Trainable = 0

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if self.encode == "pair" and self.preprocessor is None:
            raise broken_rule("encode", "pair packs tokens, and without a preprocessor (null) there are none")
        return self


class ImageEncoder(Section):
    """The image encoder: a network of Keras, a TF-Hub handle, a local folder or a built-in name."""

    encoder: str = "efficientnet-lite0"
    trainable: Trainable = 0


class FurtherEncoder(Section):
    """The encoder of any other kind of input: a handle, or empty where the kind's own file computes the vectors."""

    encoder: str = ""
    trainable: Trainable = 0


class _Encoders(Section):
    text: TextEncoder = TextEncoder()
    image: ImageEncoder = ImageEncoder()

    def handles(self, inputs: str) -> dict[str, str]:
        """The modules that `inputs` needs, each with its handle, by kind of input; that of texts has a
        `preprocessor` besides.
        """
        handles: dict[str, str | None] = {}
        for kind in kinds_of(inputs):
            handles[kind] = getattr(self, kind).encoder
            if kind == "text":
                handles["preprocessor"] = self.text.preprocessor
        return {role: handle for role, handle in handles.items() if handle}

    def trained(self, inputs: str) -> dict[str, Trainable]:
        """The kinds that `inputs` needs whose encoders are trained, each with how much of it."""
        amounts = {kind: getattr(self, kind).trainable for kind in kinds_of(inputs)}
        return {kind: amount for kind, amount in amounts.items() if amount}

    def seen(self, inputs: str) -> "Encoders":
        """The same, with defaults for the kinds that `inputs` does not need."""
        return Encoders(**{kind: getattr(self, kind) for kind in kinds_of(inputs)})

    def with_each(self, values: dict[str, dict[str, Any]]) -> "Encoders":
        """The same with other values for some keys of some kinds: `{"text": {"trainable": 0}}`."""
        sections = {kind: getattr(self, kind).model_copy(update=update) for kind, update in values.items()}
        return self.model_copy(update=sections)


if TYPE_CHECKING:
    Encoders = _Encoders
else:
    _FURTHER = {
        kind: (FurtherEncoder, FurtherEncoder()) for kind in KINDS if kind not in _Encoders.model_fields
    }
    Encoders = create_model(
        "Encoders", __base__=_Encoders, __doc__="One section for each kind of input.", **_FURTHER
    )
