"""The request that tells a mutant from the policy set: tried are requests of the cases, of the domain, and near them.

What is tried is bounded. That nothing is found proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from costlens_policy.assurance import Every, Found, Result, Rule, Situation, Subject, Witness
from costlens_policy.assurance.domain import Assignment
from costlens_policy.assurance.ways import ways_of
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep, RouteStep, drawn_by
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions import DOUBLE, INT, UINT
from costlens_policy.frozen import frozen
from costlens_policy.money import add
from costlens_policy.testing.expected import everything_expected, told_apart
from costlens_policy.testing.mutation.equivalence import Change, Equivalence
from costlens_policy.testing.mutation.mutant import Mutant, MutantKind
from costlens_policy.testing.observation import Observation, observe
from costlens_policy.testing.prepare import PreparedCase
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["Kill", "Kills"]

_MOST_TRIED: Final = 1_500
_MOST_NEAR: Final = 60
_MOST_KEYS: Final = 100
"""Values that a split is tried with: enough for shares of a few percent."""
_MOST_BASES: Final = 8
_THOUSANDTH: Final = 0.001
_LEAST: Final = Decimal("0.000001")
_PERSONAL: Final = (
    "Write to jane.doe@example.com or +1 212 555 0123; card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00, "
    "SSN 078-05-1120, hosts 192.0.2.7 and 2001:db8::1, https://jane:secret@example.com/, "
    "key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL."
)
_MESSAGES: Final = (
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "First question. " * 400},
    {"role": "assistant", "content": "First answer. " * 400},
    {"role": "user", "content": "Second question."},
)
_RICHER: Final[tuple[Mapping[str, Any], ...]] = (
    {"prompt": _PERSONAL},
    {"prompt": "<example>One. => Two.</example>\nThree."},
    {"messages": list(_MESSAGES)},
    {"max_output_tokens": 100_000},
    {"max_output_tokens": 1},
    {"params": {"n": 5, "temperature": 2.0, "top_p": 1.0}},
    {"tools": []},
    {"tools": [{"type": "function", "function": {"name": "search"}}]},
    {"prompt_tokens": 1},
    {"prompt_tokens": 1_000_000},
)
"""What requests are tried with beside the attributes that conditions read."""
_GROWING: Final = ("prompt_tokens", "max_output_tokens")


@frozen
class Kill:
    """A request on which a mutant decides otherwise, and what a case has to expect of it to fail with the mutant.

    ``shown`` is the situation in one line; ``before`` and ``after`` are what is decided without and with the change.
    """

    situation: Situation
    expect: Mapping[str, Any]
    shown: str
    before: str
    after: str


@frozen
class _Seen:
    situation: Situation
    observation: Observation
    expected: Mapping[str, Any]


class Kills:
    """Looks for the kills of mutants of one policy set; what the policy set itself decides is kept between them."""

    def __init__(self, subject: Subject, cases: Iterable[PreparedCase], known: Vocabulary) -> None:
        self._subject = subject
        self._known = known
        self._matches: dict[str, tuple[Assignment, ...]] = {}
        self._of_cases = [
            seen for case in cases if (seen := self._seen(Situation(case.request, case.balances, case.now)))
        ]

    def of(self, mutant: Mutant, plan: Plan, changes: Iterable[Change], equivalence: Equivalence) -> Kill | None:
        """Return the smallest request found that tells a mutant from the policy set, None where none is found."""
        mutated, known = _Mutated(plan), Vocabulary(plan)
        for seen in islice(self._tried(mutant, changes, equivalence, mutated), _MOST_TRIED):
            if self._tells(seen, mutated, known) is not None:
                return self._smallest(seen, mutated, known)
        return None

    def _tells(self, seen: _Seen, mutated: _Mutated, known: Vocabulary) -> dict[str, Any] | None:
        decision = mutated.decide(seen.situation)
        return None if decision is None else told_apart(seen.expected, observe(decision, known), self._known)

    def _smallest(self, seen: _Seen, mutated: _Mutated, known: Vocabulary) -> Kill | None:
        best = seen

        def keeps(witness: Witness) -> bool:
            nonlocal best
            other = self._seen(witness.situation)
            if other is None or self._tells(other, mutated, known) is None:
                return False
            best = other
            return True

        witness = Witness(seen.situation, seen.observation.decision, self._subject.now)
        self._subject.smallest(witness, keeps)
        expect, after = self._tells(best, mutated, known), mutated.decide(best.situation)
        if expect is None or after is None:
            return None
        shown = str(Witness(best.situation, best.observation.decision, self._subject.now))
        return Kill(best.situation, expect, shown, _brief(best.observation.decision), _brief(after))

    def _seen(self, situation: Situation) -> _Seen | None:
        witness = self._subject.decided(situation)
        if witness is None:
            return None
        observation = observe(witness.decision, self._known)
        return _Seen(situation, observation, everything_expected(observation, self._known))

    # What is tried, the likeliest first

    def _tried(
        self, mutant: Mutant, changes: Iterable[Change], equivalence: Equivalence, mutated: _Mutated
    ) -> Iterator[_Seen]:
        changes = tuple(changes)
        found: dict[object, _Seen] = {}
        for seen in self._from_goals(mutant, changes, equivalence):
            found.setdefault(
                (seen.situation.now, seen.observation.decision.rule, seen.observation.decision.shares), seen
            )
            yield seen
        yield from self._of_cases
        about = [seen for seen in self._of_cases if seen.observation.evaluated(mutant.rule)] or self._of_cases
        bases = [*islice(found.values(), _MOST_BASES), *about[:_MOST_BASES]]
        for seen in bases:
            yield from self._with_balances(seen, mutated)
        for seen in bases:
            yield from self._grown(seen, mutated, tuple(dict.fromkeys((*_GROWING, *self._numbers(changes)))))
        for seen in bases:
            for richer in self._richer(seen):
                yield richer
                yield from self._with_balances(richer, mutated)
        for seen in bases[:3]:
            for near in islice(self._near(seen), _MOST_NEAR):
                yield near
                yield from self._with_balances(near, mutated)

    def _from_goals(self, mutant: Mutant, changes: Iterable[Change], equivalence: Equivalence) -> Iterator[_Seen]:
        """Yield requests on which conditions differ, or that the changed rule matches, by each route that may serve."""
        changes = tuple(changes)
        yield from self._situated(map(equivalence.difference, changes))
        for change in changes:
            if change.rule.place.path[0] != "routes" and isinstance(equivalence.difference(change), Found):
                yield from self._of_values(ways_of(self._subject, Every(equivalence.apart(change))))
        yield from self._situated(map(self._subject.find, equivalence.failing(mutant)))
        if mutant.kind is MutantKind.ORDER:
            yield from self._situated([self._subject.find(goal) for goal in equivalence.matching_both(mutant)])
        if (rule := equivalence.rules.get(mutant.rule)) is not None:
            if rule.id not in self._matches:
                self._matches[rule.id] = tuple(self._matching(rule, equivalence))
            for values in self._matches[rule.id]:
                yield from self._keyed(rule, values)

    def _matching(self, rule: Rule, equivalence: Equivalence) -> Iterator[Assignment]:
        """Yield requests that a rule matches: really, where one is known, and where its failing counts as matching."""
        holds = self._subject.condition(rule.when, rule.layer)
        for matches in (holds, rule.goal):
            goal = Every([equivalence.reach(rule), matches])
            found = self._subject.find(goal)
            if isinstance(found, Found):
                yield found.values
                if rule.place.path[0] != "routes":
                    yield from ways_of(self._subject, goal)

    def _keyed(self, rule: Rule, values: Assignment) -> Iterator[_Seen]:
        """Yield a request, and where splits draw for its rule, others that differ in what they draw by."""
        names = tuple(dict.fromkeys(drawn_by(rule.step))) if isinstance(rule.step, RouteStep) else ()
        for seen in self._of_values([values]):
            yield seen
            for name in names:
                for number in range(_MOST_KEYS):
                    request = {**seen.situation.request, name: f"{name}-{number}"}
                    if other := self._seen(replace(seen.situation, request=request)):
                        yield other

    def _situated(self, results: Iterable[Result]) -> Iterator[_Seen]:
        return self._of_values(result.values for result in results if isinstance(result, Found))

    def _of_values(self, found: Iterable[Assignment]) -> Iterator[_Seen]:
        for values in found:
            witness = self._subject.situated(values)
            if witness is not None and (seen := self._seen(witness.situation)) is not None:
                yield seen

    def _richer(self, seen: _Seen) -> Iterator[_Seen]:
        for more in _RICHER:
            request = {**seen.situation.request, **more}
            if "messages" in more:
                request.pop("prompt", None)
            elif "prompt" in more:
                request.pop("messages", None)
            if other := self._seen(replace(seen.situation, request=request)):
                yield other

    def _near(self, seen: _Seen) -> Iterator[_Seen]:
        """Yield requests that differ in one or two places that conditions read."""
        domain = self._subject.domain
        reads = [read for read in domain.uses.by_read if read[0] == "request" and len(read) == 2]
        for read in reads:
            for value in domain.values(read)[-6:]:
                request = {name: old for name, old in seen.situation.request.items() if name != read[1]}
                request |= self._subject.request({read: value})
                if other := self._seen(replace(seen.situation, request=request)):
                    yield other

    def _with_balances(self, seen: _Seen, mutated: _Mutated, depth: int = 3) -> Iterator[_Seen]:
        """Yield states of the budgets at which one of them, before or after the change, has just room or just none.

        Where another one stands in for it, so do its states, up to a depth.
        """
        after = mutated.decide(seen.situation)
        for (budget, key), amounts in _amounts(seen.observation.decision, after).items():
            if (budget, key) in seen.situation.balances:
                continue
            for used in sorted(amounts):
                balances = {**seen.situation.balances, (budget, key): Balance(used=used)}
                if other := self._seen(replace(seen.situation, balances=balances)):
                    yield other
                    if depth and any(item.seen.budget == budget for item in other.observation.decision.overflowed):
                        yield from self._with_balances(other, mutated, depth - 1)

    def _grown(self, seen: _Seen, mutated: _Mutated, names: Iterable[str]) -> Iterator[_Seen]:
        """Yield requests with just such a number that something changes, by the policy set or by the mutant."""
        for name in names:
            unit = _THOUSANDTH if self._is_double(name) else 1
            for decided in (self._decided, mutated.decide):
                for size in _flips(seen.situation, name, unit, decided):
                    request = {**seen.situation.request, name: size}
                    if other := self._seen(replace(seen.situation, request=request)):
                        yield other

    def _numbers(self, changes: Iterable[Change]) -> Iterator[str]:
        """Yield the attributes that are numbers and that changed conditions read."""
        for change in changes:
            for formula in (change.before, change.after):
                for path in () if formula is None else formula.typed.references:
                    attribute = (
                        self._subject.plan.attributes.get(path[1]) if path[0] == "request" and path[1:] else None
                    )
                    if attribute is not None and attribute.type in (INT, UINT, DOUBLE):
                        yield path[1]

    def _is_double(self, name: str) -> bool:
        attribute = self._subject.plan.attributes.get(name)
        return attribute is not None and attribute.type == DOUBLE

    def _decided(self, situation: Situation) -> Decision | None:
        witness = self._subject.decided(situation)
        return None if witness is None else witness.decision


@frozen
class _Mutated:
    """The plan of a mutant."""

    plan: Plan

    def decide(self, situation: Situation) -> Decision | None:
        try:
            return decide(self.plan, situation.request, situation.balances, situation.now)
        except CostlensPolicyError:
            return None


def _brief(decision: Decision) -> str:
    served = f", {decision.model}" if decision.model else ""
    return f"{decision.effect}{served}, by `{decision.rule}`"


def _amounts(*decisions: Decision | None) -> dict[tuple[str, str], set[Decimal]]:
    """Return amounts to have been used of each budget: so that the call just fits, or just reaches a threshold."""
    found: dict[tuple[str, str], set[Decimal]] = {}
    for decision in decisions:
        for seen in () if decision is None else decision.balances:
            step = decision.plan.budgets[seen.budget][1] if decision is not None else None
            if step is None or step.per_call:
                continue
            amounts = found.setdefault((seen.budget, seen.key), set())
            for edge in (seen.limit, *_edges(step, seen.limit)):
                exact = add(edge, -seen.call)
                amounts.update(
                    amount for amount in (exact, add(exact, _LEAST), add(exact, -_LEAST), edge) if amount >= 0
                )
    return found


def _edges(step: BudgetStep, limit: Decimal) -> Iterator[Decimal]:
    for threshold in step.levels:
        yield threshold.starts_at(limit)


def _flips(situation: Situation, name: str, unit: int | float, decided: Any) -> Iterator[int | float]:
    """Yield the numbers on both sides of each change of the decision that bisection finds, in steps of a unit."""

    def outcome(size: int) -> object:
        decision = decided(replace(situation, request={**situation.request, name: size * unit}))
        return None if decision is None else (decision.effect, decision.model, decision.rule, len(decision.excluded))

    marks = [0, 1, 10, 1_000, 10_000, 100_000, 1_000_000]
    outcomes = [outcome(size) for size in marks]
    for low, high, one, other in zip(marks, marks[1:], outcomes, outcomes[1:], strict=False):
        if one != other:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if outcome(middle) == one else (low, middle)
            yield from (_scaled(low, unit), _scaled(high, unit))


def _scaled(size: int, unit: int | float) -> int | float:
    return size if unit == 1 else round(size * unit, 3)
