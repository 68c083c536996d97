"""What every engine is asked: replays and reports of one log, each as text that can be compared."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from costlens_policy import load
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import Result
from costlens_policy.report import Prices, Report, Settings
from tests.replay.parts.traffic import rows_of
from tests.replay.parts.traffic import said as said_of_replay
from tests.report.traffic import said as said_of_report

__all__ = ["BY", "answer", "answers", "asked", "prices_of", "replay_text", "report_text", "run_snippet", "write_log"]

BY = Settings(by=("model", "team"))


def write_log(path: Path) -> None:
    """Write a log as CSV: ids that repeat, in one team and across teams, ties of time, and rows that are left out."""
    chance, rows = random.Random(5), rows_of(1500)
    for number, row in enumerate(rows):
        row |= {"latency_ms": chance.choice([None, 120, 250, 4000]), "denied": chance.choice(["no", "no", "no", "yes"])}
        if number % 70 == 5:
            row["id"] = rows[number - 4]["id"]
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")


def prices_of(plan: Plan) -> Prices:
    return Prices(plan.catalogue, "the catalogue")


def replay_text(result: Result) -> str:
    return json.dumps(said_of_replay(result), default=str)


def report_text(report: Report) -> str:
    return repr(_in_order(said_of_report(report)))


def _in_order(value: Any) -> Any:
    """Return a value whose text does not depend on the order in which a mapping was filled."""
    if is_dataclass(value):
        return type(value).__name__, [(item.name, _in_order(getattr(value, item.name))) for item in fields(value)]
    if isinstance(value, Mapping):
        return sorted(((str(key), _in_order(item)) for key, item in value.items()), key=itemgetter(0))
    return [_in_order(item) for item in value] if isinstance(value, (list, tuple)) else value


def answers(
    folders: dict[str, str], replayed: Callable[[str, Plan], Result], reported: Callable[[Prices], Report]
) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each replay, and of the report."""
    for name, folder in folders.items():
        yield name, replay_text(replayed(name, load(folder).plan))
    yield "report", report_text(reported(prices_of(load(folders["routes"]).plan)))


def asked() -> dict[str, Any]:
    """Return what a script is asked.

    The ``log``, the ``folders`` of policy sets by name, a file of ``outcomes``, and the ``snippets``.
    """
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def answer(name: str, text: str) -> None:
    """Print an answer to whoever asked."""
    print(f"ANSWER {json.dumps([name, text])}", flush=True)  # noqa: T201 (a command)


def run_snippet(text: str) -> None:
    """Run what a page shows; what it prints is printed as an answer."""
    shown: list[str] = []
    exec(text, {"print": lambda *values: shown.append(" ".join(map(str, values)))})
    answer("snippet", " ".join(shown))
