"""CL443: a rewrite that changes nothing behind another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from costlens_policy.assurance.domain import Every, Goal, Not, Nothing
from costlens_policy.assurance.domain.examples import texts_matching
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.documents.rewrites import Clamp, Operation
from costlens_policy.frozen import frozen
from costlens_policy.rewrites import Content, apply_steps, compile_operation
from costlens_policy.tokens import Tokenizer

__all__ = ["find_idle_rewrites"]

_FOUND: Final = Finding("CL443")
_MOST_ROUTES: Final = 50


@frozen
class _Applied:
    """An operation, whose it is, and when it is applied; ``surely`` says that it is wherever that is so."""

    operation: Operation
    rule: str
    place: Place
    goal: Goal
    surely: bool
    of_route: bool = False


def find_idle_rewrites(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of bounds that an earlier rule keeps to already, and of patterns whose matches are redacted before."""
    applied = list(_applied(subject))
    for at, later in enumerate(applied):
        if later.operation.clamp_params is None and later.operation.replace is None:
            continue
        for before, earlier in enumerate(applied[:at]):
            if not earlier.surely or (later.of_route and later.rule != earlier.rule):
                continue
            what = _idle(later.operation, earlier.operation, earlier.rule, subject.plan.tokenizer)
            between = islice(applied, before + 1, at)
            if not what or any(_undoes(item.operation, later.operation) for item in between):
                continue
            if _holds_wherever(subject, earlier.goal, later.goal):
                yield _FOUND.warning(
                    f"`{later.rule}` changes nothing: {what}",
                    later.place.key_span,
                    "nothing is left to change",
                    "remove it, or put it before the other one",
                    [Related(earlier.place.key_span, "has done it")],
                    proved=later.operation.replace is None,  # what patterns match is tried on examples
                )
                break


def _applied(subject: Subject) -> Iterator[_Applied]:
    """Yield all operations in the order in which they are applied, but for those that keep the higher bound."""
    yield from _of_routes(subject)
    for rule in subject.rules["rewrites"]:
        document = rule.place.document.document
        rewrite = document.rewrites[int(rule.place.path[1])]  # type: ignore[attr-defined]  # rules stand in policies
        if rewrite.merge == "max":
            continue
        for at, operation in enumerate(rewrite.apply):
            yield _Applied(operation, rule.id, rule.place.at("apply", at, operation.name), rule.goal, True)
    for rule in subject.rules["budgets"]:
        document = rule.place.document.document
        budget = document.budgets[int(rule.place.path[1])]  # type: ignore[attr-defined]  # as above
        for step, threshold in enumerate(budget.thresholds):
            for at, operation in enumerate(threshold.rewrite):
                place = rule.place.at("thresholds", step, "rewrite", at, operation.name)
                yield _Applied(operation, rule.id, place, rule.goal, False)


def _of_routes(subject: Subject) -> Iterator[_Applied]:
    """Yield what each route applies where none before it matches; behind many routes, that takes too long to search."""
    before: list[Goal] = []
    for rule in islice(subject.rules["routes"], _MOST_ROUTES):
        document = rule.place.document.document
        route = document.routes[int(rule.place.path[1])]  # type: ignore[attr-defined]  # as below
        goal = Every([rule.goal, *before]) if route.apply else rule.goal
        for at, operation in enumerate(route.apply):
            yield _Applied(operation, rule.id, rule.place.at("apply", at, operation.name), goal, True, True)
        if not rule.passes_on:
            before.append(rule.otherwise)
    if len(subject.rules["routes"]) > _MOST_ROUTES:
        return
    policy_set = subject.bundle.linked.policy_set
    for at, operation in enumerate(policy_set.document.defaults.route.apply):
        place = Place(policy_set, ("defaults", "route", "apply", at, operation.name))
        yield _Applied(operation, "default", place, Every(before), True, True)


def _undoes(operation: Operation, later: Operation) -> bool:
    """Say whether an operation between two may give the later one something to do."""
    if later.replace is not None:
        return operation.facts.text is not None
    return operation.effect == "replaces" and not set(operation.targets).isdisjoint(later.targets)


def _holds_wherever(subject: Subject, earlier: Goal, later: Goal) -> bool:
    return isinstance(subject.domain.find(Every([later, Not(earlier)])), Nothing)


def _idle(later: Operation, earlier: Operation, rule: str, tokenizer: Tokenizer) -> str:
    """Say why an earlier operation, of a rule, leaves nothing to a later one; empty where it may."""
    if later.clamp_params is not None and earlier.clamp_params is not None:
        return _wider(later.clamp_params.root, earlier.clamp_params.root, rule)
    if later.clamp_params is not None and earlier.set_params is not None:
        return _within(later.clamp_params.root, earlier.set_params.root, rule)
    if later.replace is not None and earlier.redact is not None:
        return _redacted(later, earlier, rule, tokenizer)
    return ""


def _wider(later: Mapping[str, Clamp], earlier: Mapping[str, Clamp], rule: str) -> str:
    """Say that an earlier rule keeps every parameter of a later one within narrower bounds."""
    before = {canonical_parameter(name): clamp for name, clamp in earlier.items()}
    for name, clamp in later.items():
        other = before.get(canonical_parameter(name))
        if other is None or not (_keeps(other.max, clamp.max, 1) and _keeps(other.min, clamp.min, -1)):
            return ""
    names = " and ".join(f"`{name}`" for name in later)
    return f"`{rule}` keeps {names} within narrower bounds"


def _within(later: Mapping[str, Clamp], earlier: Mapping[str, Any], rule: str) -> str:
    """Say that an earlier rule sets every parameter of a later one to a number within its bounds."""
    before = {canonical_parameter(name): value for name, value in earlier.items()}
    for name, clamp in later.items():
        value = before.get(canonical_parameter(name))
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return ""
        if not (_keeps(value, clamp.max, 1) and _keeps(value, clamp.min, -1)):
            return ""
    names = " and ".join(f"`{name}`" for name in later)
    return f"`{rule}` sets {names} to what lies within its bounds"


def _keeps(before: float | Decimal | None, bound: float | Decimal | None, sign: int) -> bool:
    """Say whether a bound that was there before leaves nothing to a later one."""
    return bound is None or (before is not None and sign * Decimal(str(before)) <= sign * Decimal(str(bound)))


def _redacted(later: Operation, earlier: Operation, rule: str, tokenizer: Tokenizer) -> str:
    """Say that what a pattern matches is redacted before, where the examples show it."""
    assert later.replace is not None
    steps = [compile_operation(operation, {}, tokenizer) for operation in (earlier, later)]
    texts = [text for text in texts_matching(later.replace.pattern) if _changes(steps[1:], text)]
    if not texts:
        texts = [text for text in _SAMPLES if _changes(steps[1:], text)]
    if texts and not any(_changes(steps[1:], _after(steps[:1], text)) for text in texts):
        return f"`{rule}` redacts what its pattern matches"
    return ""


_SAMPLES: Final = (
    "Write to ann@example.com today.",
    "Call +1 202 555 0143 today.",
    "Card 4111 1111 1111 1111.",
    "192.0.2.7",
)


def _after(steps: Sequence[object], text: str) -> str:
    content, _ = apply_steps(Content(text, None, {}), steps, (None,) * 6)  # type: ignore[arg-type]  # steps are steps
    return content.prompt or ""


def _changes(steps: Sequence[object], text: str) -> bool:
    return _after(steps, text) != text
