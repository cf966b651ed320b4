"""The networks that turn texts and images into features."""

from typing import Annotated, Literal

from pydantic import Field

from entailment.configuration.section import Section
from entailment.configuration.task import Inputs

Trainable = Literal["all"] | Annotated[int, Field(ge=0, strict=True)]


class TextEncoder(Section):
    """The text encoder: TF-Hub handles, local folders or built-in names."""

    encoder: str = "minilm"
    preprocessor: str = "bert-uncased-preprocess"
    output: str = "pooled_output"
    sequence_length: Annotated[int, Field(ge=8, le=512)] = 128
    encode: Literal["each", "pair"] = "each"
    trainable: Trainable = 0


class ImageEncoder(Section):
    """The image encoder: a network of Keras, a TF-Hub handle, a local folder or a built-in name."""

    encoder: str = "efficientnet-lite0"
    trainable: Trainable = 0


class Encoders(Section):
    """The networks that turn texts and images into features."""

    text: TextEncoder = TextEncoder()
    image: ImageEncoder = ImageEncoder()

    def handles(self, inputs: Inputs) -> dict[str, str]:
        """The modules that `inputs` needs: `text` and `preprocessor`, `image`, each with its handle."""
        text = {"text": self.text.encoder, "preprocessor": self.text.preprocessor}
        image = {"image": self.image.encoder}
        return {**(text if inputs != "image" else {}), **(image if inputs != "text" else {})}

    def trained(self, inputs: Inputs) -> dict[str, Trainable]:
        """The encoders that `inputs` needs and that are trained, `text` or `image`, each with how much of it."""
        amounts = {"text": self.text.trainable, "image": self.image.trainable}
        return {role: amounts[role] for role in self.handles(inputs) if amounts.get(role)}
