"""The decisions about a version, as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from entailment.reporting.markdown import markdown_table, plain


def promotion_markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Every decision about one version, the newest first, as a page."""
    parts = []
    for record in reversed(records):
        before = f"version {record['previous']}" if record["previous"] else "none"
        parts.append(
            f"# Version {record['version']}: {record['outcome']}\n\n"
            f"{record['at']}, by {plain(record['by'])} ({record['how']}); champion before: {before}.\n\n"
            f"{plain(record['why'])}\n"
        )
        if record["reasons"]:
            rows = [
                [reason["name"], "yes" if reason["passed"] else "**no**", reason["text"]]
                for reason in record["reasons"]
            ]
            parts.append(markdown_table(["condition", "met", "what was found"], rows))
    return "\n".join(parts)
