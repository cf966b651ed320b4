"""How the head is trained."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from entailment.configuration.section import Count, NotNegative, Positive, Section, Share
from entailment.losses import LOSSES


def _known(loss: str) -> str:
    if loss not in LOSSES:
        raise ValueError(f"must be one of {', '.join(LOSSES)}")
    return loss


Loss = Annotated[str, AfterValidator(_known)]


class Training(Section):
    """How the head is trained."""

    loss: Loss = "cross_entropy"
    focal_gamma: NotNegative = 2.0
    class_weights: Annotated[tuple[Positive, ...] | None, Field(strict=False)] = None
    label_smoothing: Share = 0.0
    logit_adjustment: NotNegative = 0.0
    epochs: Count = 40
    batch_size: Count = 32
    learning_rate: Positive = 0.001
    encoder_learning_rate: Positive = 0.00002
    patience: Annotated[int, Field(ge=0)] = 10
    keep: Literal["best", "last"] = "best"
