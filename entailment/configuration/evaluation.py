"""How the test split is judged."""

from typing import Annotated

from pydantic import Field

from entailment.configuration.section import Count, Fraction, Section


class Evaluation(Section):
    """How the test split is judged."""

    bootstrap_samples: Count = 2000
    confidence: Fraction = 0.95
    sample_rows: Annotated[int, Field(ge=1, le=20)] = 6
