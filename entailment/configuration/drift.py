"""When new rows count as unlike the champion's training rows."""

from typing import Annotated, Literal

from pydantic import Field

from entailment.configuration.section import Count, Fraction, Number, Section, Share


class Drift(Section):
    """When new rows count as unlike the champion's training rows."""

    action: Literal["warn", "stop"] = "warn"
    min_rows: Count = 30
    max_rows: Count = 2000
    permutations: Annotated[int, Field(ge=100)] = 200
    confidence: Fraction = 0.99
    text_length: Share = 0.15
    unseen_words: Share = 0.05
    vocabulary: Share = 0.05
    image_size: Share = 0.15
    missing_images: Share = 0.10
    features: Annotated[Number, Field(ge=0.5, lt=1)] = 0.65
    predicted_labels: Share = 0.10
