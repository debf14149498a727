"""What a paper prints, and ours beside: a table of statements with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One statement: where it stands, what is printed, what we find, and the verdict."""

    key: str
    where: str
    printed: str
    ours: str
    verdict: str
    value: float = float("nan")


def agreed(difference: float, limit: float) -> str:
    """The verdict of a number that should be zero."""
    return "agrees" if difference <= limit else "**differs**"


def table(head: str, rows: Sequence[Statement]) -> str:
    """The table in Markdown under its head, and how many statements met which verdict."""
    lines = [f"| {s.where} | {s.printed} | {s.ours} | {s.verdict} |" for s in rows]
    counts = {
        "agree": sum(s.verdict.startswith("agrees") for s in rows),
        "differ": sum(s.verdict.startswith("**") for s in rows),
        "synthetic": sum(s.verdict.startswith("synthetic") for s in rows),
        "cannot be checked": sum(s.verdict.startswith("cannot") for s in rows),
    }
    counted = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    return head + "\n".join(lines) + f"\n\nOf {len(rows)}: {counted}.\n"
