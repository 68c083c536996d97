"""Traffic as a table of somebody else, and what a report says of it whoever made it."""

from __future__ import annotations

import random
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens_policy.report import Report

__all__ = ["rows_of", "said"]

_MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "nobody-1")


def rows_of(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return rows, each with its line in a CSV file.

    They have ties of time, ids that repeat, calls that were denied, latencies and costs that are not always there, and
    rows that are left out.
    """
    chance, at, rows = random.Random(seed), datetime(2026, 6, 1, tzinfo=UTC), list[dict[str, Any]]()
    for number in range(1, count + 1):
        at += timedelta(seconds=chance.choice([0, 0, 1, 5, 4000]))
        rows.append({
            "time": at.isoformat(), "model": chance.choice(_MODELS),
            "id": f"c{number}" if chance.random() < 0.8 else None,
            "prompt_tokens": 0 if number % 97 == 0 else chance.randrange(500, 18_000),
            "cached_tokens": chance.choice([None, 0, 100]), "output_tokens": chance.randrange(0, 1000),
            "cost": f"0.{chance.randrange(10**6):06}" if chance.random() < 0.2 else None,
            "latency_ms": chance.choice([None, 120, 250, 4000]), "denied": "yes" if chance.random() < 0.1 else "no",
            "team": chance.choice(["a", "b", None]), "row": number + 1,
        })  # fmt: skip
        if number % 50 == 3:
            rows[-1]["id"] = rows[-1 - chance.randrange(3)]["id"]
    return rows


def said(report: Report) -> dict[str, Any]:
    """Return all of a report but the name of its source, and how its rows were shared out."""
    found = {item.name: getattr(report, item.name) for item in fields(report) if item.name != "source"}
    return found | {"notes": sorted(note for note in report.notes if not note.startswith("rows were shared out"))}
