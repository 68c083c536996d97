"""The guard over Redis and PostgreSQL: the same, with several guards that know nothing of each other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import pytest

from costlens_policy import DeniedError, Guard
from costlens_policy.ledger import CallConflictError
from tests.guard.company import REQUEST, Clock, write_company
from tests.ledger.servers import Server, postgresql_server, redis_server

POLICY = """
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: 0.0125
    window: {calendar: day}
    rungs: [{at_ratio: 0.5, alert: half}]
  - {id: all, hard_limit_tokens: 100000, window: {rolling: 1h}}
"""
KEYS = (
    "red", "RED", " ", "k" * 512, "ö" * 256, "a\x1fb", "a\x1f", "line\nend\r", "\x1b[31m", "\U0010ffff", "e\u0301", "é",
    "{a}", "*", "%_\\",
)  # fmt: skip
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
_NUMBERS = count()


@pytest.fixture(scope="module", params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with redis_server() if request.param == "redis" else postgresql_server() as running:
        yield running


@pytest.fixture
def guards(server, tmp_path) -> Iterator[list[Guard]]:
    engine, url, clock, events = (
        write_company(tmp_path / "p", POLICY),
        server.url(f"guard_{next(_NUMBERS)}"),
        Clock(),
        [],
    )
    made = [Guard(engine, url, clock=clock, alert_sinks=[events.append]) for _ in range(4)]
    made[0].events = events
    yield made
    for guard in made:
        guard.close()


def test_never_above_the_limit_and_each_alert_once(guards):
    done = []

    def work(guard):
        for _ in range(10):
            with contextlib.suppress(DeniedError), guard.call(REQUEST) as call:
                call.settle(USAGE)
                done.append(call.id)

    threads = [threading.Thread(target=work, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(done)) == len(done) == 10
    team, tokens = guards[1].spend()
    assert (team.used, team.held, team.left) == (Decimal("0.012"), 0, Decimal("0.0005"))
    assert (tokens.used, tokens.held) == (11_000, 0)
    assert all(guard.flush() for guard in guards)
    assert [event.rung for event in guards[0].events] == ["0.5", "denied"]


def test_one_id_one_hold(guards):
    first, again = guards[0].call(REQUEST, id="job"), guards[1].call(REQUEST, id="job")
    assert again.decision.to_dict() == first.decision.to_dict()
    assert guards[2].spend("team", "red")[0].held == Decimal("0.0012")
    again.settle(USAGE)
    assert first.settle(USAGE).repeated
    with pytest.raises(CallConflictError):
        guards[2].call(REQUEST, id="job")


def test_every_key_of_a_scope_is_kept_apart(guards) -> None:
    guard, other = guards[:2]
    for key in KEYS:
        with guard.call({**REQUEST, "team": key}) as call:
            call.settle(USAGE)
    for key in KEYS:
        (spend,) = other.spend("p/team", key)
        assert (spend.key, spend.used) == (key, Decimal("0.0012")), key
    assert sorted(spend.key for spend in other.spend("p/team")) == sorted(KEYS)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_texts_that_no_budget_goes_by_may_be_anything(guards, text: str) -> None:
    with guards[0].call({**REQUEST, "user": text, "tags": [text], "metadata": {text: text}}) as call:
        call.settle(USAGE)
    assert any(spend.used for spend in guards[1].spend("p/team", "red"))
