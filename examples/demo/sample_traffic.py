"""Synthetic calls of a fictional company: five weeks of three teams, with a busy day, denials and a growing feature.

They are the same each time.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

__all__ = ["write_sample"]

_START = datetime(2026, 9, 28, tzinfo=UTC)
_DAYS = 35
_BUSY_DAY = 24
_COLUMNS = (
    "time", "id", "team", "feature", "user", "model", "prompt_tokens", "cached_tokens", "output_tokens", "latency_ms",
    "denied",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Feature:
    """Average tokens, calls on a working day, and by how much these grow from week to week."""

    name: str
    team: str
    model: str
    calls: int
    growth: float
    prompt: int
    cached: float
    output: int


_FEATURES = (
    _Feature("code-review", "platform", "claude-sonnet-4-5", 22, 0.02, 14_000, 0.6, 900),
    _Feature("ticket-summary", "support", "gpt-5-mini", 60, 0.05, 3_200, 0.4, 250),
    _Feature("ticket-triage", "support", "gpt-5", 45, 0.0, 2_400, 0.5, 40),
    _Feature("contract-search", "legal", "gpt-5", 8, 0.35, 30_000, 0.1, 700),
)


def write_sample(path: Path) -> Path:
    """Write the calls as CSV, in time order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = sorted(_rows(Random(7)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows((time.isoformat(), f"call-{number:05}", *rest) for number, (time, *rest) in enumerate(rows))
    return path


def _rows(random: Random) -> Iterator[tuple[datetime, str, str, str, str, int, int, int, int, str]]:
    for day in range(_DAYS):
        for feature in _FEATURES:
            calls = feature.calls * (1 + feature.growth) ** (day // 7) * (0.15 if day % 7 > 4 else 1)
            if day == _BUSY_DAY and feature.name == "code-review":
                calls *= 6
            for _ in range(round(calls * random.uniform(0.85, 1.15))):
                yield _row(_START + timedelta(days=day, hours=random.gauss(13, 2.5)), feature, random)


def _row(
    time: datetime, feature: _Feature, random: Random
) -> tuple[datetime, str, str, str, str, int, int, int, int, str]:
    denied = random.random() < (0.04 if feature.team == "legal" else 0.002)
    prompt = round(feature.prompt * random.lognormvariate(0, 0.35))
    cached = round(prompt * feature.cached) if random.random() < 0.75 else 0
    output = max(1, round(feature.output * random.lognormvariate(0, 0.4)))
    latency = round(350 + 9 * output + prompt / 40 * random.uniform(0.8, 1.6))
    user = f"{feature.team}-{random.randrange(12):02}"
    time = time.replace(microsecond=0)
    names = (feature.team, feature.name, user, feature.model)
    return (time, *names, prompt, cached, output, latency, "yes" if denied else "no")
