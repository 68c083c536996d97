"""Random requests of a policy set's domain, decided in search of what must never happen.

Decided are critical values of what the conditions read, values near and between them, and texts, sizes and parameters
that no condition names; on random states of the budgets, at critical times. Looked for are internal errors, decisions
that differ when they are made again, conditions that come out otherwise in the exact form of the compiler than in the
fast one, entries of a decision log that cannot be decided again, and whatever else the caller asks of a decision.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.api import Engine
from costlens_policy.assurance import ABSENT, Situation, Subject, Witness
from costlens_policy.assurance.witness import smallest
from costlens_policy.decision_log import decide_again
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Balance, Decision, json_value
from costlens_policy.engine.mask import Mask
from costlens_policy.engine.record import outcomes_of
from costlens_policy.errors import RequestError
from costlens_policy.expressions.runtime import to_python
from costlens_policy.frozen import frozen
from costlens_policy.testing.written import WrittenCase, written_suite

__all__ = ["FuzzFailure", "Fuzzed", "Promise", "failing_suite", "fuzz", "random_situations"]

Promise: TypeAlias = Callable[[Witness], str]
"""Says what a decision breaks, or nothing."""

_MOST_FAILURES: Final = 10
_TEXTS: Final = (
    "", "Hello.", "x" * 3000, "e-mail jane@example.com", "\u202etxt", "<example>a</example>", "{{ prompt }}",
)  # fmt: skip
_GIVEN: Final = ("prompt_tokens", "max_output_tokens")
_PLAIN: Final[Mapping[str, tuple[Any, ...]]] = {
    "string": ("a", "b", "other", "\u00e9"), "int": (0, 1, 7), "double": (0.0, 0.5, 1.0), "bool": (True, False),
}  # fmt: skip
"""Values of attributes by their types, also of those that no condition reads, such as scopes of budgets."""
_SIZES: Final = (0, 1, 2, 100, 999, 8_000, 8_001, 100_000, 128_000, 1_000_000)
_RATIOS: Final = ("0", "0.1", "0.25", "0.5", "0.79", "0.8", "0.9", "0.999999", "1", "1.5")


@frozen
class FuzzFailure:
    """What went wrong on a request, which is as small as it could be made."""

    what: str
    situation: Situation
    shown: str


@frozen
class Fuzzed:
    """``decided`` requests of ``tried`` were accepted. Equal seeds and runs give equal failures."""

    seed: int
    tried: int
    decided: int
    failures: tuple[FuzzFailure, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-like data."""
        failures = [{"what": item.what, "request": json_value(dict(item.situation.request))} for item in self.failures]
        return {"seed": self.seed, "tried": self.tried, "decided": self.decided, "failures": failures}


def failing_suite(found: Fuzzed, subject: Subject, policy_set: str) -> str:
    """Return the requests of failures as cases, which expect what is decided today, if anything is.

    A case of a broken promise is there to be given another expectation.
    """
    cases = []
    for failure in found.failures:
        at = failure.situation
        witness = _decided(subject, at)
        expect = {"effect": "allow"} if witness is None else {"effect": witness.effect, "rule": witness.rule}
        cases.append(WrittenCase(failure.what, at.request, expect, at.balances, at.now, (failure.what,)))
    return written_suite(f"fuzzed-{subject.plan.name}", policy_set, subject.now, cases)


def _decided(subject: Subject, at: Situation) -> Decision | None:
    try:
        return decide(subject.plan, at.request, at.balances, at.now)
    except Exception:  # the failure itself
        return None


def fuzz(
    subject: Subject,
    *,
    seed: int,
    runs: int | None = None,
    seconds: float | None = None,
    promises: tuple[Promise, ...] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Fuzzed:
    """Decide random requests, ``runs`` many or until ``seconds`` are over, and return what went wrong.

    A kind of failure is reported once, and no more than ten kinds.
    """
    examiner = _Examiner(subject, promises)
    requests = _Requests(subject, seed)
    failures: dict[str, FuzzFailure] = {}
    end = None if seconds is None else clock() + seconds
    tried = decided = 0
    while (runs is None or tried < runs) and (end is None or clock() < end) and len(failures) < _MOST_FAILURES:
        situation = requests.next()
        tried += 1
        what = examiner.wrong(situation)
        decided += what is not None
        if what and what not in failures:
            failures[what] = examiner.smallest(what, situation)
    return Fuzzed(seed, tried, decided, tuple(failures.values()))


def random_situations(subject: Subject, *, seed: int, number: int) -> list[Situation]:
    """Return random requests with balances and times, the same for the same seed; some may not be accepted."""
    requests = _Requests(subject, seed)
    return [requests.next() for _ in range(number)]


class _Requests:
    """Makes random situations; the same for the same seed."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self._random = random.Random(seed)
        self._subject = subject
        self._reads = sorted(read for read in subject.domain.uses.by_read if read[0] == "request" and len(read) > 1)
        self._times = [to_python(value) for value in subject.domain.values(("now",))] or [subject.now]

    def next(self) -> Situation:
        chance = self._random
        values = {read: self._value(read) for read in self._reads if chance.random() < 0.7}
        request: dict[str, Any] = self._subject.request(values)
        request |= {name: value for name, value in self._others() if name not in request or chance.random() < 0.1}
        if "messages" in request:
            request.pop("prompt", None)
        now = chance.choice(self._times) if chance.random() < 0.5 else self._subject.now
        now = now if isinstance(now, datetime) else self._subject.now
        return Situation(request, self._balances(request, now), now)

    def _value(self, read: tuple[str, ...]) -> Any:
        """Return a critical value of a place, or one near it."""
        known = self._subject.domain.values(read)
        value = self._random.choice(known) if known else ABSENT
        if self._random.random() < 0.2:
            if type(value) is int:
                return value + self._random.choice((-2, -1, 1, 2, 1000))
            if type(value) is float:
                return value * self._random.uniform(0.5, 2.0)
        return value

    def _others(self) -> Iterator[tuple[str, Any]]:
        """Yield attributes that no condition need read."""
        chance = self._random
        if chance.random() < 0.7:
            yield "prompt", chance.choice(_TEXTS)
        elif chance.random() < 0.7:
            roles = ("system", "user", "assistant", "user", "tool")
            chosen = roles[: chance.randint(1, 5)]
            yield "messages", [{"role": role, "content": chance.choice(_TEXTS)} for role in chosen]
        for name in _GIVEN:
            if chance.random() < 0.5:
                yield name, chance.choice(_SIZES)
        for name, attribute in self._subject.plan.attributes.items():
            values = attribute.values or _PLAIN.get(attribute.type.name, ())
            if values and name not in ("prompt", *_GIVEN) and chance.random() < 0.15:
                yield name, chance.choice(values)
        if chance.random() < 0.2:
            yield "params", {"temperature": chance.choice((0.0, 1.0, 2.5)), "n": chance.randint(1, 3)}
        if chance.random() < 0.2:
            yield "tools", [{"type": "function", "function": {"name": chance.choice(("search", "delete_all"))}}]

    def _balances(self, request: Mapping[str, Any], now: datetime) -> dict[tuple[str, str], Balance]:
        """Return states of the budgets that a request counts against, in a third of the cases."""
        if self._random.random() > 0.33 or not self._subject.plan.budgets:
            return {}
        witness = self._subject.decided(Situation(request, {}, now))
        found = {}
        for seen in () if witness is None else witness.decision.balances:
            if seen.limit.is_finite():
                used = seen.limit * Decimal(self._random.choice(_RATIOS))
                found[seen.budget, seen.key] = Balance(used=max(used, Decimal()))
        return found


class _Examiner:
    def __init__(self, subject: Subject, promises: tuple[Promise, ...]) -> None:
        self._subject = subject
        self._plan = subject.plan
        self._engine = Engine(self._plan)
        self._promises = promises

    def wrong(self, situation: Situation) -> str | None:
        """Return what is wrong with the decision on a situation, empty for nothing, None if it is not accepted."""
        try:
            decision = decide(self._plan, situation.request, situation.balances, situation.now)
            return next(filter(None, self._faults(situation, decision)), "")
        except (RequestError, ValueError):
            return None
        except Exception as error:  # which is what is looked for
            return f"internal error: {type(error).__name__}: {' '.join(str(error).split())[:200]}"

    def _faults(self, situation: Situation, decision: Decision) -> Iterator[str]:
        again = decide(self._plan, situation.request, situation.balances, situation.now)
        first, second = (json.dumps(item.to_dict(record=False), sort_keys=True) for item in (decision, again))
        yield "" if first == second else "the same request is decided otherwise a second time"
        exact = {rule.id: rule.outcome for stage in decision.record().stages for rule in stage.rules}
        fast = outcomes_of(decision)
        other = next((rule for rule, outcome in exact.items() if fast.get(rule, outcome) is not outcome), "")
        yield f"the condition of `{other}` comes out otherwise in its exact form" if other else ""
        entry = json.loads(json.dumps(decision_entry(decision, "fuzz", False, Mask("keep"), record=False)))
        found = decide_again(self._engine, entry)
        yield "" if found.verdict == "same" else f"a logged decision cannot be made again: {found.why or 'it differs'}"
        witness = Witness(situation, decision, self._subject.now)
        yield from (promise(witness) for promise in self._promises)

    def smallest(self, what: str, situation: Situation) -> FuzzFailure:
        found = smallest(situation, self._subject.now, lambda tried: self.wrong(tried) == what)
        try:
            shown = str(Witness(found, decide(self._plan, found.request, found.balances, found.now), self._subject.now))
        except Exception:  # the failure itself
            shown = json.dumps(found.request, default=str, ensure_ascii=False)
        return FuzzFailure(what, found, shown)
