"""What a guard tells of warm prompts before each call of recorded sessions, against what a provider then reports.

The sessions are real (lengths of prompts, times, models), and the provider is made here: it keeps blocks of 64 tokens
by their content for five minutes from their last use, as Anthropic does with a mark at the end of each prompt, and
reports what it read and wrote. It knows nothing of the guard's rules. The recording has no reads of its own; what
speaks of the real caches is the time to the first token, which is shown for calls that were told to be warm and cold.

``python -m benchmarks.warm_caches FILE [--json]`` reads sessions as ``READY["claude-code"]`` does.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

from costlens_policy import Engine, Guard, load
from costlens_policy.catalogue import read_from
from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.replay import READY, Row, Settings, read_traffic
from costlens_policy.replay.simulation import Simulation

__all__ = ["Figures", "Provider", "engine_for", "measured", "turns"]

BLOCK: Final = 64
_LEAST: Final = 1024
"""Tokens of the shortest prompt that is kept."""
_LIFETIME: Final = timedelta(minutes=5)
_COMPACTED: Final = 0.5
"""A prompt below this share of the one before was compacted: it has the system text in common with it, no more."""
_LONG: Final = 20_000


@dataclass(slots=True)
class Provider:
    """Caches of models: blocks by their content, each with the time until which it is kept."""

    _kept: dict[tuple[str, tuple[str, int, int]], datetime] = field(default_factory=dict)

    def answer(self, model: str, blocks: list[tuple[str, int, int]], tokens: int, at: datetime) -> dict[str, int]:
        """Return the usage of a call: the leading blocks that are kept are read, the others are written."""
        read = 0
        if len(blocks) * BLOCK < _LEAST:
            blocks = []
        while read < len(blocks) and self._kept.get((model, blocks[read]), at) > at:
            read += 1
        for block in blocks:
            self._kept[model, block] = at + _LIFETIME
        cached = len(blocks) * BLOCK
        return {
            "cache_read_input_tokens": read * BLOCK, "cache_creation_input_tokens": cached - read * BLOCK,
            "input_tokens": tokens - cached, "output_tokens": 1,
        }  # fmt: skip


@dataclass(slots=True)
class _Text:
    """The content of a session by its blocks: growing, cut at its end, or compacted to its system text."""

    versions: list[int] = field(default_factory=list)
    changes: int = 0

    def grown_to(self, session: str, tokens: int, system: int) -> list[tuple[str, int, int]]:
        wanted = tokens // BLOCK
        if wanted < len(self.versions):
            self.changes += 1
            compacted = wanted < len(self.versions) * _COMPACTED
            kept = min(system // BLOCK, wanted) if compacted else max(wanted - 1, 0)
            del self.versions[kept:]
        self.versions += [self.changes] * (wanted - len(self.versions))
        return [(session, place, version) for place, version in enumerate(self.versions)]


@dataclass(slots=True)
class Figures:
    """How what is told compares with what is read. Tokens are sums over all calls."""

    calls: int = 0
    told: int = 0
    """Tokens that were told to be warm, as far as the prompt is no shorter than what is held."""
    read: int = 0
    too_many: int = 0
    """Tokens told that were not read."""
    too_few: int = 0
    """Tokens read that were not told."""
    exact: int = 0
    """Calls of which no more than one block differs."""
    replay_differs: int = 0
    """Calls of which ``replay`` tells something that is off by more than one block."""
    first_token: dict[str, list[float]] = field(default_factory=lambda: {"warm": [], "cold": []}, repr=False)

    def to_dict(self) -> dict[str, Any]:
        shown = asdict(self)
        shown["first_token"] = {
            name: {"calls": len(found), "median_s": median(found) if found else None}
            for name, found in self.first_token.items()
        }
        return shown


def engine_for(models: Iterator[str], folder: Path) -> Engine:
    """Return an engine whose rules read what is warm, and route each request to the model that it asks for."""
    prices = "{input: 5, cache_read: 0.5, cache_write: 6.25, output: 25}"
    listed = "".join(
        f"  {name}: {{provider: anthropic, prices: [{{usd_per_million_tokens: {prices}}}]}}\n" for name in models
    )
    head = "apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: warm, version: '1'}}\n"
    texts = {
        "policy-set.yaml": "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\n"
        "defaults: {access: allow, max_output_tokens: 100, route: {model_from: request.model}}\n",
        "policy.yaml": "on_error: deny\nroutes:\n"
        "  - {id: warm, when: 'has(request.asked_model) && request.asked_model.?warm_tokens.orValue(0) > 0',"
        " model_from: request.model}\n",
        "catalogue.yaml": f"models:\n{listed}",
    }
    kinds = {"policy-set.yaml": "PolicySet", "policy.yaml": "Policy", "catalogue.yaml": "Catalogue"}
    for name, text in texts.items():
        (folder / name).write_text(head.format(kinds[name]) + text, encoding="utf-8")
    return load(folder, cache=False)


def turns(rows: Sequence[Row]) -> Iterator[tuple[Row, list[tuple[str, int, int]]]]:
    """Yield each call with the blocks of its prompt.

    A short call in the midst of a session that then goes on where it was is about something else.
    """
    lengths: dict[str, list[int]] = {}
    for row in rows:
        lengths.setdefault(row.session or "", []).append(row.prompt_tokens or 0)
    texts: dict[str, _Text] = {}
    places: Counter[str] = Counter()
    for row in rows:
        session, tokens = row.session or "", row.prompt_tokens or 0
        known, place = lengths[session], places[session]
        places[session] += 1
        before, after = (known[at] if 0 <= at < len(known) else 0 for at in (place - 1, place + 1))
        if tokens < before * _COMPACTED and before <= after:
            yield row, _Text().grown_to(f"{session}, aside {place}", tokens, known[0])
        else:
            yield row, texts.setdefault(session, _Text()).grown_to(session, tokens, known[0])


def measured(path: Path) -> Figures:
    """Replay the calls of a recording through a guard and a provider, in the order of time."""
    with tempfile.TemporaryDirectory() as folder:
        names = sorted({json.loads(line)["model_id"] for line in path.read_text(encoding="utf-8").splitlines()})
        engine = engine_for(iter(names), Path(folder))
    traffic = read_traffic([str(path)], READY["claude-code"], engine.plan, Settings().start)
    first_tokens = _first_tokens(path)
    provider, simulation, figures = Provider(), Simulation(engine.plan, Settings()), Figures()
    clock = [Settings().start]
    with Guard(engine, clock=lambda: clock[0], alert_sinks=[]) as guard:
        for row, blocks in turns(traffic.rows):
            clock[0] = row.time
            with guard.call(_request(row)) as call:
                usage = provider.answer(row.model or "", blocks, row.prompt_tokens or 0, row.time)
                call.settle(usage)
            simulated = simulation.decide(row)
            simulation.settle(row, simulated)
            _count(figures, row, call.decision.request, simulated.request, usage, first_tokens.get(row.number))
    return figures


def _request(row: Row) -> dict[str, Any]:
    return {"session": row.session, "model": row.model, "prompt": "", "prompt_tokens": row.prompt_tokens}


def _count(
    figures: Figures,
    row: Row,
    told: Mapping[str, Any],
    replayed: Mapping[str, Any],
    usage: Mapping[str, int],
    first_token: float | None,
) -> None:
    tokens = row.prompt_tokens or 0
    warm, simulated = (seen.get(WARM_TOKENS, {}).get(row.model, 0) for seen in (told, replayed))
    likely, read = read_from(warm, tokens), usage["cache_read_input_tokens"]
    figures.calls += 1
    figures.told += likely
    figures.read += read
    figures.too_many += max(likely - read, 0)
    figures.too_few += max(read - likely, 0)
    figures.exact += abs(likely - read) <= BLOCK
    figures.replay_differs += abs(warm - simulated) > BLOCK
    if first_token is not None and tokens >= _LONG:
        figures.first_token["warm" if likely else "cold"].append(first_token)


def _first_tokens(path: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {number: row["ttft_s"] for number, row in enumerate(rows, 1) if row.get("ttft_s") is not None}


def main() -> None:
    arguments = [item for item in sys.argv[1:] if item != "--json"]
    if len(arguments) != 1:
        sys.exit("usage: python -m benchmarks.warm_caches FILE [--json]")
    found = measured(Path(arguments[0]))
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2) + "\n")
        return
    lines = [
        f"{found.calls:,} calls; replay tells something else for {found.replay_differs}",
        f"told to be read {found.told:,} tokens, read {found.read:,}",
        f"told and not read {found.too_many:,} ({found.too_many / found.read:.3%} of what was read)",
        f"read and not told {found.too_few:,} ({found.too_few / found.read:.3%})",
        f"right to a block of {BLOCK} for {found.exact:,} calls ({found.exact / found.calls:.2%})",
    ]
    for name, times in found.first_token.items():
        if times:
            shown = f"{median(times):.2f} s ({len(times):,} calls)"
            lines.append(f"recorded time to the first token, told to be {name}: {shown}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
