"""Two policy sets on the same traffic: which requests are decided differently, what that costs, and why."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.plan import Plan
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, plain, total
from costlens_policy.replay.expected import Expected, ExpectedChange, Moved, Served, expected_change, expected_of
from costlens_policy.replay.judged import Paired
from costlens_policy.replay.recognized import recognition_of
from costlens_policy.replay.result import Outcome
from costlens_policy.replay.settings import Settings, assumptions
from costlens_policy.replay.simulation import Simulation, rejected
from costlens_policy.replay.traffic.row import Reject, Row, StreamedTraffic, Traffic

__all__ = ["Cause", "Difference", "Example", "Group", "Side", "diff", "side_of"]

Cause = Literal[
    "denied now", "allowed now", "another model", "same model at another cost", "same model by another rule"
]
_EXAMPLES = 3
_WORST = 10
_MOST_REJECTS = 100_000
"""As many rows that were left out are kept with their texts; more are counted."""


@frozen(order=True)
class Side:
    """How a request is decided: the rule, and the model or the reason why there is none."""

    rule: str
    model: str
    effect: str


@frozen
class Example:
    """A request that is decided differently. ``delta`` is in US dollars, None where a side has no price."""

    place: str
    old: Side
    new: Side
    delta: Decimal | None
    prompt_tokens: int
    reason: str


@dataclass(slots=True)
class Group:
    """Requests that moved from one decision to another."""

    requests: int = 0
    delta: Decimal = ZERO
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Difference:
    """``old_cost`` and ``new_cost`` are of the rows that have a price on both sides; ``unpriced`` counts the others.

    ``newly_unpriced`` are those among them that had a price before.
    """

    settings: Settings
    files: tuple[str, ...]
    notes: tuple[str, ...]
    rejects: list[Reject]
    """The first of the ``rejected`` rows."""
    rejected: int = 0
    rows: int = 0
    changed: int = 0
    newly_denied: int = 0
    newly_allowed: int = 0
    unpriced: int = 0
    newly_unpriced: int = 0
    old_cost: Decimal = ZERO
    new_cost: Decimal = ZERO
    groups: dict[tuple[Side, Side], Group] = field(default_factory=dict)
    causes: dict[Cause, Group] = field(default_factory=dict)
    old_expected: Expected | None = None
    new_expected: Expected | None = None
    """Which quality to expect by the catalogue of each side; None where it knows none."""
    expected_change: ExpectedChange | None = None
    """Both sides on the requests that are measured on both; None where neither catalogue knows any quality."""
    judged: Paired = field(default_factory=Paired)
    """Both sides by recorded outcomes, on the requests for which the quality of both answers is recorded."""
    half_judged: int = 0
    """Requests for which the quality of one side's answer alone is recorded."""
    by_rows: str = ""
    """Why the traffic was compared row by row; empty where it was in columns, or there was no choice."""
    _worst: list[tuple[Decimal, int, Example]] = field(default_factory=list)

    def add(self, row: Row, old: Outcome, new: Outcome) -> None:
        """Count one row."""
        self.rows += 1
        delta = None if old.cost is None or new.cost is None else total((new.cost, -old.cost))
        if delta is None or old.cost is None or new.cost is None:
            self.unpriced += 1
            self.newly_unpriced += old.cost is not None
        else:
            self.old_cost, self.new_cost = total((self.old_cost, old.cost)), total((self.new_cost, new.cost))
        self._judge(old, new)
        before, after = _side(old), _side(new)
        self.newly_denied += old.allowed and not new.allowed
        self.newly_allowed += new.allowed and not old.allowed
        if before == after and not delta:
            return
        example = Example(row.place, before, after, delta, row.prompt_tokens or new.usage.prompt_tokens, new.reason)
        if before != after:
            self.changed += 1
            _count(self.groups.setdefault((before, after), Group()), example)
        _count(self.causes.setdefault(_cause(old, new), Group()), example)
        if delta is not None and delta > 0:
            self.add_worst(delta, self.rows, lambda: example)

    def _judge(self, old: Outcome, new: Outcome) -> None:
        if not (old.answers or new.answers):
            return
        one, other = old.answer, new.answer
        if one is not None and other is not None:
            self.judged.add(one, other, apart=old.model != new.model)
        else:
            self.half_judged += (one is None) != (other is None)

    def expect(self, moved: Moved, old: Catalogue, new: Catalogue) -> None:
        """Work out which quality to expect, of the catalogues of both sides."""
        served = Served(), Served()
        for ways, requests in moved.items():
            for way, counts in zip(ways, served, strict=True):
                if way is not None:
                    counts[way] += requests
        self.old_expected, self.new_expected = expected_of(served[0], old), expected_of(served[1], new)
        self.expected_change = expected_change(moved, old, new)

    def reject(self, reject: Reject) -> None:
        """Count a row that is left out."""
        self.rejected += 1
        if len(self.rejects) < _MOST_REJECTS:
            self.rejects.append(reject)

    def add_worst(self, delta: Decimal, number: int, example: Callable[[], Example]) -> None:
        """Keep a row that costs more, if it is among those with the largest increases; of equal ones the first stays.

        ``number`` is its place among all rows.
        """
        if len(self._worst) < _WORST:
            heapq.heappush(self._worst, (delta, -number, example()))
        elif (delta, -number) > self._worst[0][:2]:
            heapq.heapreplace(self._worst, (delta, -number, example()))

    @property
    def delta(self) -> Decimal:
        return total((self.new_cost, -self.old_cost))

    @property
    def increase(self) -> Decimal | None:
        """Return the increase as a share of the old cost; None where the old cost is zero and the new one is not."""
        if self.old_cost:
            return self.delta / self.old_cost
        return None if self.new_cost else ZERO

    @property
    def worst(self) -> list[Example]:
        """Return the requests with the largest cost increases, the largest first."""
        return [example for _, _, example in sorted(self._worst, key=lambda item: item[:2], reverse=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON-like data; money is a decimal string."""
        groups = sorted(self.groups.items(), key=lambda item: (-item[1].requests, item[0]))
        return {
            "files": list(self.files), "rows": self.rows, "rejected": self.rejected, "changed": self.changed,
            "newly_denied": self.newly_denied, "newly_allowed": self.newly_allowed,
            "old_cost": plain(self.old_cost), "new_cost": plain(self.new_cost), "difference": plain(self.delta),
            "increase": None if self.increase is None else float(self.increase),
            "unpriced": self.unpriced, "newly_unpriced": self.newly_unpriced,
            "causes": {
                cause: {"requests": group.requests, "difference": plain(group.delta)}
                for cause, group in self.causes.items()
            },
            "groups": [
                {"old": _plain_side(old), "new": _plain_side(new), "requests": group.requests,
                 "difference": plain(group.delta), "examples": [_plain_example(item) for item in group.examples]}
                for (old, new), group in groups
            ],
            "worst": [_plain_example(item) for item in self.worst],
            "old_expected_quality": None if self.old_expected is None else self.old_expected.to_dict(),
            "new_expected_quality": None if self.new_expected is None else self.new_expected.to_dict(),
            "expected_quality_change": None if self.expected_change is None else self.expected_change.to_dict(),
            "recorded_quality": {
                **self.judged.to_dict("old", "new"), "requests": self.judged.one.answered,
                "requests_with_one_side_alone": self.half_judged,
            } if self.judged.one.answered or self.half_judged else None,
            "notes": list(self.notes), "assumptions": list(assumptions(self.settings)),
        }  # fmt: skip


def diff(
    old: Plan,
    new: Plan,
    traffic: Traffic | StreamedTraffic,
    settings: Settings,
    block_tokens: int = 0,
    tick: Callable[[], None] | None = None,
) -> Difference:
    """Replay traffic through two policy sets side by side, each with its own balances and caches."""
    rejects = list(traffic.rejects)
    difference = Difference(settings, traffic.files, traffic.notes, rejects, len(rejects))
    first, second = Simulation(old, settings, block_tokens), Simulation(new, settings, block_tokens)
    moved = Moved()
    for row in traffic.rows:
        try:
            before, after = first.decide(row), second.decide(row)  # a row that either refuses is charged to neither
        except RequestError as error:
            difference.reject(rejected(row, error))
        else:
            outcomes = first.settle(row, before), second.settle(row, after)
            difference.add(row, *outcomes)
            moved[_way(outcomes[0]), _way(outcomes[1])] += 1
        if tick is not None:
            tick()
    difference.expect(moved, old.catalogue, new.catalogue)
    difference.notes = (*difference.notes, *_on_recognition(old, new))
    return difference


def _on_recognition(*plans: Plan) -> Iterator[str]:
    """Note that tasks are recognized, and how often wrongly."""
    for text in dict.fromkeys(str(found) for plan in plans if (found := recognition_of(plan)) is not None):
        yield (
            f"the task of requests that name none is recognized by {text}; the expected quality that is compared "
            "does not count these mistakes"
        )


def _way(outcome: Outcome) -> tuple[str, str] | None:
    return None if outcome.model is None else (outcome.model, outcome.task)


def _side(outcome: Outcome) -> Side:
    return side_of(outcome.rule, outcome.model, outcome.refused)


def side_of(rule: str, model: str | None, refused: str) -> Side:
    """Return how a request is decided; ``refused`` is as in ``Outcome``."""
    return Side(rule, model or "", f"deny ({refused})" if refused else "allow")


def _cause(old: Outcome, new: Outcome) -> Cause:
    if old.allowed != new.allowed:
        return "denied now" if old.allowed else "allowed now"
    if old.model != new.model:
        return "another model"
    return "same model by another rule" if old.cost == new.cost else "same model at another cost"


def _count(group: Group, example: Example) -> None:
    group.requests += 1
    if example.delta is not None:
        group.delta = total((group.delta, example.delta))
    if len(group.examples) < _EXAMPLES:
        group.examples.append(example)


def _plain_side(side: Side) -> dict[str, str]:
    return {"rule": side.rule, "model": side.model, "effect": side.effect}


def _plain_example(example: Example) -> dict[str, Any]:
    return {
        "row": example.place, "old": _plain_side(example.old), "new": _plain_side(example.new),
        "difference": None if example.delta is None else plain(example.delta),
        "prompt_tokens": example.prompt_tokens, "reason": example.reason,
    }  # fmt: skip
