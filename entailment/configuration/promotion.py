"""When a retrained model takes the champion's place."""

from typing import Literal

from entailment.configuration.section import Count, Fraction, Section, Share


class Promotion(Section):
    """When a retrained model takes the champion's place."""

    baseline: Literal["majority", "words"] = "majority"
    confidence: Fraction = 0.80
    min_rows: Count = 100
    max_loss: Share = 0.05
    min_slice_rows: Count = 30
    max_ece: Share = 0.15
