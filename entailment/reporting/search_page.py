"""The trials of a search side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from entailment.configuration.configuration import Configuration
from entailment.configuration.section import dotted
from entailment.reporting.markdown import markdown_table
from entailment.trials.search import Trial

if TYPE_CHECKING:
    import pandas as pd


def tuning_table(trials: Sequence[Trial], start: Configuration) -> "pd.DataFrame":
    """A row for each trial, in order: `trial`, `state`, `validation_macro_f1`, `error` and the keys that any changed.

    Of those keys the value that the trial had; `start` is what it is compared with.
    """
    import pandas as pd

    before = dotted(start)
    settings = [dotted(trial.configuration) for trial in trials]
    keys = [key for key in before if any(values[key] != before[key] for values in settings)]
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            "validation_macro_f1": trial.value,
            "error": trial.error,
        }
        | {key: values[key] for key in keys}
        for trial, values in zip(trials, settings, strict=True)
    ]
    return pd.DataFrame(rows).astype({"validation_macro_f1": "float64"})


def tuning_markdown(table: "pd.DataFrame") -> str:
    """The table in Markdown, the best trial first; and what the figure is."""
    best_first = table.sort_values("validation_macro_f1", ascending=False, kind="stable", na_position="last")
    lines = [[_cell(value) for value in row] for row in best_first.itertuples(index=False)]
    return (
        f"{markdown_table([str(name) for name in table.columns], lines)}\nThe macro-F1 is that of all answers to the"
        " validation folds together. The best of many trials is flattered by having been chosen; only rows that no"
        " trial saw, the test split's, tell how good it is.\n"
    )


def changes(best: Configuration, start: Configuration) -> list[str]:
    """What the best configuration has in other values, as "key: before -> now"."""
    before, now = dotted(start), dotted(best)
    return [f"{key}: {_cell(before[key])} -> {_cell(now[key])}" for key in before if before[key] != now[key]]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)
