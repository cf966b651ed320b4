"""The table of registered versions."""

from collections.abc import Sequence
from datetime import UTC, datetime

from summaries.text_table import text_table
from tracking.versions import Pruned, RegisteredVersion


def versions_table(
    model: str,
    versions: Sequence[RegisteredVersion],
    width: int | None = None,
    pruned: Pruned | None = None,
) -> str:
    """A row for each version, figures next to the majority class's, and how much they take; in a terminal's width.

    Above it what was `pruned`, if anything could be.
    """
    removed = f"{_pruned_line(pruned)}\n" if pruned and (versions or pruned.versions or pruned.bytes) else ""
    if not versions:
        return f"{removed}There is no version of {model} yet: train first."
    heads = (
        ">version",
        "alias",
        "registered (UTC)",
        "data",
        ">macro-F1",
        "interval",
        ">accuracy",
        ">majority",
        ">MB",
    )
    total = sum(version.bytes for version in versions) / 1e6
    generated = "" if not any(v.generated for v in versions) else "\n*: GENERATED data, not real tweets"
    return f"{removed}{text_table(heads, map(_row, versions), width)}\n{total:.1f} MB of {model}{generated}"


def _row(version: RegisteredVersion) -> list[str]:
    low, high = _figure(version.macro_f1_low), _figure(version.macro_f1_high)
    return [
        str(version.version),
        ", ".join(version.aliases),
        f"{datetime.fromtimestamp(version.registered, UTC):%Y-%m-%d %H:%M}",
        f"{version.dataset}*" if version.generated else version.dataset,
        _figure(version.macro_f1),
        f"{low} to {high}" if low and high else "",
        _figure(version.accuracy),
        _figure(version.majority_accuracy),
        f"{version.bytes / 1e6:.1f}",
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _pruned_line(pruned: Pruned) -> str:
    if not pruned.versions and not pruned.bytes:
        return "Nothing to remove: every version has an alias, or a rollback goes to it."
    names = ", ".join(map(str, pruned.versions)) or "none"
    return f"Removed {len(pruned.versions)} version(s): {names}; {pruned.bytes / 1e6:.1f} MB."
