"""Random traffic, replayed in columns and row by row."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from costlens_policy.catalogue import Usage
from costlens_policy.compiler.plan import Plan
from costlens_policy.replay import Result, Row, Settings, Traffic
from costlens_policy.replay.columns import Job, State, step
from costlens_policy.replay.columns.batch import batch_of

PROMPTS = (5, 900, 1024, 5_000, 18_999, 19_000, 19_001, 50_000, 99_000, 100_001, 250_000)


def random_traffic(
    seed: int, rows: int, models: Sequence[str], attributes: Mapping[str, Sequence[Any]], prompts: int = 300_000
) -> Traffic:
    """Return rows with every kind of gap, over some days. ``prompts`` is the length of the longest prompt."""
    chance, at, made = random.Random(seed), datetime(2026, 6, 30, 20, tzinfo=UTC), []
    more = random.Random(f"{seed}, kinds of tokens and terms")
    for number in range(1, rows + 1):
        at += timedelta(seconds=chance.choice([0, 1, 10, 100, 400]))
        prompt = min(chance.choice([*PROMPTS, chance.randrange(1, prompts)]), prompts)
        output, cached = chance.choice([0, 1, 100, 1_000, 1_001, 3_000]), chance.randrange(prompt + 1)
        given = {name: chance.choice(values) for name, values in attributes.items() if chance.random() < 0.7}
        session = chance.choice([None, None, "s1", "s2", "s3"])
        recorded = _recorded(more, prompt, cached, output) if chance.random() < 0.3 else None
        tier = more.choice([None, None, "default", "flex", "priority", "unheard-of", "standard, geo us, speed fast"])
        others = (("small", Usage(input=7, output=3)), ("unheard-of", Usage(input=5))) if more.random() < 0.1 else ()
        model = chance.choice([None, "of-somebody-else", *models])
        recorded_model = "nightly" if model and more.random() < 0.2 else model
        made.append(
            Row(
                "f", number, at, f"call-{number}" if number % 3 else None, recorded_model, session, prompt, output,
                recorded, chance.choice([None, Decimal("0.0012345678901")]), (),
                given if session is None else {**given, "session": session}, {}, {}, tier, others,
            )
        )  # fmt: skip
    return Traffic(tuple(made), (), ("f",), ())


def _recorded(chance: random.Random, prompt: int, cached: int, output: int) -> Usage:
    """Return buckets that add up to a prompt and an answer, of text alone or of other kinds, too."""
    if chance.random() < 0.5:
        return Usage(input=prompt - cached, cache_read=cached, output=output)
    sound, spoken = chance.randrange(prompt - cached + 1), chance.randrange(output + 1)
    heard = chance.randrange(cached + 1)
    return Usage(
        input=prompt - cached - sound, cache_read=cached - heard, cache_read_audio=heard, input_audio=sound // 2,
        input_image=sound - sound // 2, output=output - spoken, output_audio=spoken // 2,
        reasoning=spoken - spoken // 2,
    )  # fmt: skip


def in_columns(
    plan: Plan, traffic: Traffic, attributes: Sequence[str], settings: Settings, size: int = 500, written: bool = True
) -> Result:
    """Replay in batches; with ``written``, the state goes through JSON after each of them."""
    job = Job(plan, settings, tuple(attributes), ("f",))
    state = State(job)
    for start in range(0, len(traffic.rows), size):
        rows = traffic.rows[start : start + size]
        state = step(job, state, batch_of(rows, plan, job.attributes, lambda _: 0))
        if written:
            state = State.from_dict(job, json.loads(json.dumps(state.to_dict())))
    return state.sums.result(settings, job.prices, ("f",), [])


def facts(result: Result) -> dict[str, Any]:
    """Return all that a result says, but for how it was found; money and order to the last digit and place."""
    said = result.to_dict()
    said.pop("shared_decisions")
    said["rejects"] = sorted((item.file, item.number, item.problem) for item in result.rejects)
    return {name: str(value) for name, value in said.items()}
