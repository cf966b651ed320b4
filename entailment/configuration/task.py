"""What is asked: the classes, and what experiment and model are called."""

import re
from collections import Counter
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from entailment.configuration.section import Section, broken_rule
from entailment.task import INPUTS, LABELS, in_snake_case


def _known_by_its_letters(label: str) -> str:
    if not in_snake_case(label):
        raise ValueError("a label must hold a letter or a digit")
    return label


def _known_as_a_name(name: str) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9 _.-]*", name):
        raise ValueError("must be letters, digits, blanks, '.', '-' and '_', the first a letter or a digit")
    return name


def _known_inputs(inputs: str) -> str:
    if inputs not in INPUTS:
        raise ValueError(f"must be one of {', '.join(INPUTS)}")
    return inputs


Label = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(_known_by_its_letters)
]
Inputs = Annotated[str, AfterValidator(_known_inputs)]
Name = Annotated[str, StringConstraints(max_length=100), AfterValidator(_known_as_a_name)]


class Task(Section):
    """The classes, in the order of their indices, and the name of experiment and registered model."""

    name: Name = "multimodal-entailment"
    labels: Annotated[tuple[Label, ...], Field(min_length=2, max_length=20, strict=False)] = LABELS
    label_map: dict[str, str] = Field(default_factory=dict)

    def of_rows(self) -> "Task":
        """What the rows of a table depend on: the name has its default."""
        return Task(labels=self.labels, label_map=self.label_map)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for spelling, label in self.label_map.items():
            if label not in self.labels:
                raise broken_rule(
                    "label_map", f"{spelling!r} stands for {label!r}, which is none of the labels"
                )
        times = Counter(map(in_snake_case, self.labels))
        if twice := [name for name, count in times.items() if count > 1]:
            raise broken_rule("labels", f"two would have the columns and metrics of {twice[0]!r}")
        return self
