"""The network trained on the features."""

from typing import Annotated, Literal

from pydantic import Field

from entailment.configuration.section import Count, Section, Share


class Head(Section):
    """The network trained on the features."""

    pair_features: bool = True
    projection_layers: Annotated[int, Field(ge=0, le=16)] = 1
    projection_units: Count = 256
    dropout: Share = 0.1
    modality_dropout: Share = 0.0
    attention: Literal["none", "cross"] = "none"
    attention_dropout: Share = 0.2
