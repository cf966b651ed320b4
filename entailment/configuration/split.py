"""How pairs are divided."""

from typing import Literal

from entailment.configuration.section import Fraction, Section


class Split(Section):
    """How rows are divided into train, validation and test."""

    method: Literal["stratified", "hash"] = "stratified"
    test_fraction: Fraction = 0.10
    validation_fraction: Fraction = 0.05
    on_leak: Literal["warn", "error"] = "warn"
