"""Whether invariants hold: every way that a request may go is closed by a proof, or a request is found that breaks one.

Nothing holds because a search found nothing: what is not proved is unknown, and says which expression is the cause.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TypeAlias

from costlens_policy.assurance import Every, Found, Goal, Nothing, Rule, Undecided, Witness
from costlens_policy.assurance import Holds as Condition
from costlens_policy.assurance.domain import Assignment, atoms_of
from costlens_policy.compiler.rules import RouteStep
from costlens_policy.frozen import frozen
from costlens_policy.proof.attempts import attempts
from costlens_policy.proof.claims import Breach, Claim
from costlens_policy.proof.doubts import doubt_about
from costlens_policy.proof.exclusions import refused_by_routes
from costlens_policy.proof.sent import asking
from costlens_policy.proof.solver import Impossible, Possible, Solver, Unsolved
from costlens_policy.proof.ways import UNLISTED, Way, named, reaching, refusals, servings

__all__ = ["Holds", "Refuted", "Unknown", "Vacuous", "Verdict", "decide", "ways_of"]


@frozen
class Holds:
    """No request breaks it. ``ways`` is how many ways of requests were closed."""

    ways: int


@frozen
class Refuted:
    """``witness`` breaks it, as the engine decided; ``breach`` says how."""

    witness: Witness
    breach: Breach


@frozen
class Unknown:
    """Neither is known. ``why`` names the cause, ``where`` the ways that are open."""

    why: str
    where: tuple[str, ...]


@frozen
class Vacuous:
    """No request meets its condition, so that it says nothing."""


Verdict: TypeAlias = Holds | Refuted | Unknown | Vacuous


def ways_of(claim: Claim) -> Iterator[Way]:
    """Yield every way on which the invariant may be broken."""
    subject = claim.subject
    if claim.invariant.effect == "allow":
        yield from refusals(subject)
        yield from refused_by_routes(subject, claim.meant)
        return
    for route in (*subject.rules["routes"], subject.default):
        yield from servings(subject, route)


class _LimitReached(Exception):  # noqa: N818 - control flow inside one proof
    """The limit of time is reached."""


def decide(claim: Claim, ends_at: float = math.inf) -> Verdict:
    """Decide one invariant. ``ends_at`` is when to stop, by ``time.monotonic``."""
    return _Proof(claim, ends_at).run()


class _Proof:
    def __init__(self, claim: Claim, ends_at: float) -> None:
        self._subject = claim.subject
        self._claim = claim
        self._ends_at = ends_at
        self._solver = Solver(claim.subject.plan, claim.subject.domain)
        self._closed = 0
        self._open: dict[str, str] = {}
        """Ways that are open, each with the reason."""

    def run(self) -> Verdict:
        self._subject.domain.work = 0
        if self._is_vacuous():
            return Vacuous()
        try:
            for way in self._ways():
                refuted = self._refuted(way)
                if refuted is not None:
                    return refuted
        except _LimitReached:
            self._open["the rest"] = "the limit of time is reached"
        if self._open:
            return Unknown(next(iter(self._open.values())), tuple(self._open))
        return Holds(self._closed)

    def _is_vacuous(self) -> bool:
        goal = self._claim.applies
        if self._is_nothing(goal):
            return True
        if isinstance(self._subject.find(goal), Found):
            return False
        return isinstance(self._solver.solve(goal, limit_s=min(1.0, self._ends_at - time.monotonic())), Impossible)

    def _ways(self) -> Iterator[Way]:
        """Yield the ways that may break the invariant: those of routes only that requests in question reach."""
        if self._claim.invariant.effect == "allow":
            yield from ways_of(self._claim)
            return
        for route in (*self._subject.rules["routes"], self._subject.default):
            self._go_on()
            if self._is_kept(route):
                self._closed += 1
            elif not self._is_closed(route):
                yield from servings(self._subject, route)

    def _go_on(self) -> None:
        """Raise ``_LimitReached`` where there is no time left."""
        if time.monotonic() > self._ends_at:
            raise _LimitReached

    def _is_kept(self, route: Rule) -> bool:
        """Say whether the facts of all models of a route keep the invariant."""
        assert isinstance(route.step, RouteStep)
        names = {name for name, _, _ in named(self._subject, route.step)}
        return all(self._claim.is_kept_by(name) for name in names)

    def _is_closed(self, route: Rule) -> bool:
        if self._claim.of_models:
            return False
        closed = self._is_nothing(Every([self._claim.applies, reaching(self._subject, route)]))
        self._closed += closed
        return closed

    def _is_nothing(self, goal: Goal) -> bool:
        return isinstance(self._subject.find(goal), Nothing) and not doubt_about(
            self._subject.plan, self._subject.domain, goal
        )

    def _refuted(self, way: Way) -> Refuted | None:
        """Return a request that breaks the invariant this way; note the way as open where there may be one."""
        self._go_on()
        broken = self._claim.broken_on(way)
        if broken is None:
            self._closed += 1
            return None
        goal = Every([broken, way.goal])
        model = way.model if way.model != UNLISTED else ""
        given: Assignment = {("model",): model} if model else {}
        result = self._subject.find(goal, given)
        why = doubt_about(self._subject.plan, self._subject.domain, goal)
        if isinstance(result, Nothing) and not why:
            self._closed += 1
            return None
        refuted = self._tried(way, result.values) if isinstance(result, Found) else None
        if refuted is not None:
            return refuted
        return self._solved(way, goal, model, result.why if isinstance(result, Undecided) else why)

    def _solved(self, way: Way, goal: Goal, model: str, why: str) -> Refuted | None:
        """Ask the solver about a way that the search leaves open."""
        answer = self._solver.solve(goal, model, self._ends_at - time.monotonic())
        if isinstance(answer, Impossible):
            self._closed += 1
            return None
        refuted = self._tried(way, answer.values) if isinstance(answer, Possible) else None
        if refuted is None:
            unsolved = answer.why if isinstance(answer, Unsolved) and why else ""
            nothing = "no request was found that goes this way, and none was ruled out"
            reason = why or self._claim.cause(way) or nothing
            if place := self._cause(goal):
                reason = f"{reason}: {place}"
            self._open[_named(way)] = f"{reason}; {unsolved}" if unsolved else reason
        return refuted

    def _cause(self, goal: Goal) -> str:
        """Return which part of what is written is not decided, and where it stands; empty where it is none alone."""
        domain, plan = self._subject.domain, self._subject.plan
        for atom in dict.fromkeys(atoms_of(goal)):
            span, extent = atom.formula.span, atom.formula.typed.root.extent
            doubtful = domain.doubt_about(atom) and (atom.searched or doubt_about(plan, domain, Condition(atom)))
            if span is not None and doubtful:
                return f"`{atom.formula.source[extent.start : extent.end]}` at {span.file}:{span.start.line}"
        return ""

    def _tried(self, way: Way, values: Assignment) -> Refuted | None:
        begin = self._subject.situated(values)
        if begin is None:
            return None
        for situation in attempts(self._subject, way, begin.situation, asking(self._claim.invariant)):
            witness = self._subject.decided(situation)
            if witness is not None and self._claim.broken_by(witness) is not None:
                break
        else:
            return None
        return self._smallest(witness)

    def _smallest(self, witness: Witness) -> Refuted:
        def keeps(other: Witness) -> bool:
            return self._claim.broken_by(other) is not None

        smallest = self._subject.smallest(witness, keeps)
        smallest = self._subject.smallest(smallest, keeps)  # with less in it, it may need no time of its own
        breach = self._claim.broken_by(smallest)
        assert breach is not None, "what was made smaller still breaks it"
        return Refuted(smallest, breach)


def _named(way: Way) -> str:
    return f"`{way.model}` on `{way.rule}`" if way.serves else f"a refusal by `{way.rule}`"
