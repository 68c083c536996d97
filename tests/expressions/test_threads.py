"""One compiled expression, one plan, many threads and tasks: each sees its own values, whatever runs beside it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from costlens_policy import load
from costlens_policy.expressions import Environment, analyze, parse_type
from costlens_policy.expressions.compile import compile_expression, compile_traced
from costlens_policy.expressions.runtime import CelError
from tests.checker.repository import write

THREADS: Final = 16
ROUNDS: Final = 150
NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
TYPES: Final = {"n": "int", "s": "string", "l": "list(int)", "x": "dyn"}

EXPRESSIONS: Final = {
    "plain": "n * 2 + size(s)",
    "macros": "l.map(a, a + n).filter(b, b % 2 == n % 2).size() > 0 && l.exists_one(c, c == n) ? n : -n",
    "bind": "cel.bind(v, n * 3, cel.bind(w, v + 1, l.map(a, a + v + w)))",
    "exact form": "l.sortBy(a, -a).map(a, a * n)",
    "optionals": "[?optional.of(n), ?optional.none()].map(a, optional.of(a).optMap(b, b + n).orValue(0))",
    "absorbed error": "1 / (n - n) > 0 || n >= 0",
    "error": "1 / (n - n) > 0",
    "dynamic": "x.all(a, a == n || a == s) && x[0] == n",
    "patterns": "s.matches('^' + string(n) + '-[a-z]+$') && s.glob(string(n) + '-*')",
    "text": "'%d %s'.format([n, s]) + s.replace('-', '+')",
}


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def values_of(thread: int) -> tuple[Any, ...]:
    return (thread, f"{thread}-{'abc' * (thread + 1)}", list(range(thread + 3)), [thread, f"{thread}-abc", thread][:2])


def outcome(evaluate: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    try:
        return evaluate(*values)
    except CelError as error:
        return error.code, error.extent


def compiled(text: str) -> Callable[..., Any]:
    typed = analyze(text, Environment({name: parse_type(declared) for name, declared in TYPES.items()})).typed
    assert typed is not None, text
    return compile_expression(typed, tuple(TYPES))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_threads_see_their_own_values(name: str) -> None:
    text = EXPRESSIONS[name]
    expected = [outcome(compiled(text), values_of(thread)) for thread in range(THREADS)]
    evaluate = compiled(text)
    together = threading.Barrier(THREADS)

    def work(thread: int) -> set[bool]:
        values = values_of(thread)
        together.wait()
        return {outcome(evaluate, values) == expected[thread] for _ in range(ROUNDS)}

    with ThreadPoolExecutor(THREADS) as pool:
        assert set().union(*pool.map(work, range(THREADS))) == {True}


def test_traces_of_threads_do_not_mix() -> None:
    typed = analyze("[n, n + 1].exists(a, a == n * 2)", Environment({"n": parse_type("int")})).typed
    assert typed is not None
    trace = compile_traced(typed, ("n",))
    expected = [trace(thread) for thread in range(THREADS)]

    def work(thread: int) -> bool:
        return all(trace(thread) == expected[thread] for _ in range(ROUNDS))

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(work, range(THREADS)))


POLICY: Final = """
on_error: deny
variables:
  long: request.?tags.orValue([]).exists(tag, tag == request.?user.orValue("") + "-long")
access:
  - {id: odd, when: 'has(request.user) && request.user.endsWith("7")', effect: deny, reason: seven}
routes:
  - {id: long, when: variables.long, model: large}
  - {id: named, when: 'has(request.team) && request.team == request.?user.orValue("")', model: large}
"""


def request_of(thread: int) -> dict[str, Any]:
    user = f"user-{thread}"
    tags = [f"user-{other}-long" for other in range(0, THREADS, 3)]
    return {"prompt": "x" * thread, "user": user, "tags": tags, "team": user if thread % 5 == 0 else "other"}


def test_one_plan_serves_threads_and_tasks(tmp_path: Path) -> None:
    folder = write(tmp_path, POLICY)
    expected = [load(folder).decide(request_of(thread), now=NOW).to_dict() for thread in range(THREADS)]
    assert len({(found["model"], found["rule"]) for found in expected}) >= 3
    engine = load(folder)

    def decide(thread: int) -> bool:
        return bool(engine.decide(request_of(thread), now=NOW).to_dict() == expected[thread])

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(decide, [*range(THREADS)] * 20))

    async def task(thread: int) -> bool:
        await asyncio.sleep(0)
        first = decide(thread)
        await asyncio.sleep(0)
        return first and await asyncio.to_thread(decide, thread) and decide(thread)

    async def tasks() -> list[bool]:
        return await asyncio.gather(*(task(thread) for _ in range(10) for thread in range(THREADS)))

    assert all(asyncio.run(tasks()))
