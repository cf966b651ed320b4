"""The kinds of input: one file each, found by its name; another kind is another file here."""

import importlib
import re
from functools import cache

from entailment.data.pairs import ColumnRule
from entailment.inputs.kind import Kind, kind_in
from entailment.task import KINDS, PAIR_COLUMNS, columns_of


@cache
def kind_named(name: str) -> Kind:
    """The kind of input in the file of that name, one of KINDS.

    >>> kind_named("text").columns
    ('text_1', 'text_2')
    """
    found = kind_in(importlib.import_module(f"{__name__}.{name}"))
    if not re.fullmatch(found.rule[0], found.example):
        raise ImportError(f"entailment/inputs/{name}.py: example must follow the rule: {found.rule[1]}.")
    return found


def column_rules() -> dict[str, ColumnRule]:
    """What a table's columns must hold, by kind of input; of texts and images `read_pairs` knows it."""
    return {name: kind_named(name).rule for name in KINDS if not set(columns_of(name)) <= set(PAIR_COLUMNS)}
