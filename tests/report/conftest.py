"""Calls to report on: a log written here, and what is known of it without this package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from costlens_policy.replay import READY
from costlens_policy.replay.settings import START
from costlens_policy.report import DIMENSIONS, CallQuery, Extras, Prices, Read, TrafficSource
from tests.cli.conftest import process, run

__all__ = ["call", "process", "read_log", "run", "write_log"]

Rows = Sequence[Mapping[str, Any]]


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[[Rows], str]:
    """Return a function that writes rows as JSON lines, and gives the file's name."""

    def write(rows: Rows) -> str:
        path = tmp_path / "calls.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def read_log(write_log: Callable[[Rows], str]) -> Callable[..., Read]:
    """Return a function from rows to what a report reads of them."""

    def read(
        rows: Rows,
        *,
        mapping: str = "plain",
        columns: Mapping[str, str] | None = None,
        by: tuple[str, ...] = DIMENSIONS,
        asked: CallQuery | None = None,
        baseline: str | None = None,
        **more: Any,
    ) -> Read:
        prices = Prices()
        extras = Extras.of(READY[mapping], columns or {}, {}, by, START)
        model = None if baseline is None else prices.model(baseline)
        source = TrafficSource(
            [write_log(rows)], extras.reader_mapping, extras, prices, START, baseline=model, **more
        )  # fmt: skip
        return source.read(asked or CallQuery(by))

    return read


def call(number: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a row of a log; a field of None is left out."""
    usual = {
        "time": f"2026-11-02T{number % 24:02}:00:00Z", "id": f"call-{number}", "model": "gpt-5", "prompt_tokens": 1000,
        "cached_tokens": 200, "output_tokens": 100, "team": "search",
    }  # fmt: skip
    return {name: value for name, value in (usual | fields).items() if value is not None}
