"""CL443: a rewrite that changes nothing behind another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel

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

__all__ = ["AppliedOperation", "applied_operations", "find_idle_rewrites"]

_FOUND: Final = Finding("CL443")
_MOST_ROUTES: Final = 50


@frozen
class AppliedOperation:
    """An operation, whose it is, and when it is applied; ``surely`` says that it is wherever that is so.

    ``merged`` says that its rule states what happens beside others that set the same.
    """

    operation: Operation
    rule: str
    place: Place
    goal: Goal
    surely: bool
    of_route: bool = False
    merged: bool = False


def find_idle_rewrites(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of bounds that an earlier rule keeps to already, and of patterns whose matches are redacted before."""
    applied = list(applied_operations(subject))
    for at, later in enumerate(applied):
        if alone := _idle_alone(subject, later.operation):
            yield _FOUND.warning(
                f"`{later.rule}` changes nothing: {alone}",
                later.place.key_span,
                "nothing is ever changed",
                "correct it, or remove it",
            )
            continue
        for before, earlier in enumerate(applied[:at]):
            # Of one budget, the lower thresholds are active wherever the higher ones are.
            surely = earlier.surely or (earlier.rule == later.rule and not later.surely)
            if not surely or (later.of_route and later.rule != earlier.rule):
                continue
            yield from _undone(subject, earlier, later)
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


def _idle_alone(subject: Subject, operation: Operation) -> str:
    """Say why an operation never changes anything, whatever comes before it; empty where it may."""
    views = list(subject.domain.models.values())
    if operation.trim_history is not None:
        windows = [view.get("context_window") for view in views]
        most = max((item for item in windows if isinstance(item, int)), default=0)
        if None not in windows and 0 < most <= operation.trim_history.max_prompt_tokens:
            return f"no model has room for more than {most} tokens"
    if operation.clamp_params is not None:
        outputs = [view.get("max_output_tokens") for view in views]
        most = max((item for item in outputs if isinstance(item, int)), default=0)
        clamps = operation.clamp_params.root.items()
        lowered = [clamp.max for name, clamp in clamps if canonical_parameter(name) == "max_output_tokens"]
        if None not in outputs and most and len(clamps) == len(lowered) == 1 and (lowered[0] or 0) > most:
            return f"no model writes more than {most} tokens" if next(iter(clamps))[1].min is None else ""
    if operation.replace is not None and operation.replace.text == operation.replace.pattern:
        return "it replaces a text with itself" if operation.replace.text.isalnum() else ""
    return ""


def _undone(subject: Subject, earlier: AppliedOperation, later: AppliedOperation) -> Iterator[Diagnostic]:
    """Report what one rewrite does and another one takes back."""
    if earlier.of_route or not later.surely or earlier.rule == later.rule or earlier.merged or later.merged:
        return
    what = _taken_back(later.operation, earlier.operation, subject.plan.tokenizer)
    if what and _holds_wherever(subject, later.goal, earlier.goal):
        yield _FOUND.warning(
            f"`{later.rule}` takes back what `{earlier.rule}` does: {what}",
            later.place.key_span,
            "undoes it",
            "remove one of them",
            [Related(earlier.place.key_span, "is undone")],
        )


def _taken_back(later: Operation, earlier: Operation, tokenizer: Tokenizer) -> str:
    clamps = {canonical_parameter(name): clamp for name, clamp in _clamps(later).items()}
    for name, value in (earlier.set_params.root if earlier.set_params is not None else {}).items():
        clamp = clamps.get(canonical_parameter(name))
        if clamp is None or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            continue
        if not (_within_bound(value, clamp.max, 1) and _within_bound(value, clamp.min, -1)):
            return f"`{name}` of {value} is outside of its bounds"
    for name, before in _clamps(earlier).items():
        clamp = clamps.get(canonical_parameter(name))
        if clamp is not None and (_above(clamp.min, before.max) or _above(before.min, clamp.max)):
            return f"no value of `{name}` is within both bounds"
    if later.replace is not None and earlier.replace is not None:
        steps = [compile_operation(operation, {}, tokenizer) for operation in (earlier, later)]
        texts = [text for text in texts_matching(earlier.replace.pattern) if _changes(steps[:1], text)]
        if texts and all(_after(steps, text) == text for text in texts):
            return "texts are what they were"
    return ""


def _clamps(operation: Operation) -> Mapping[str, Clamp]:
    return operation.clamp_params.root if operation.clamp_params is not None else {}


def _within_bound(value: float | Decimal, bound: float | Decimal | None, sign: int) -> bool:
    return bound is None or sign * Decimal(str(value)) <= sign * Decimal(str(bound))


def _above(low: float | Decimal | None, high: float | Decimal | None) -> bool:
    return low is not None and high is not None and low > high


def applied_operations(subject: Subject) -> Iterator[AppliedOperation]:
    """Yield all operations in the order in which they are applied, but for those that keep the higher bound."""
    yield from _of_routes(subject)
    for rule in subject.rules["rewrites"]:
        document = rule.place.document.document
        rewrite = document.rewrites[int(rule.place.path[1])]  # type: ignore[attr-defined]  # rules stand in policies
        if rewrite.merge == "max":
            continue
        merged = rewrite.merge is not None
        for at, operation in enumerate(rewrite.apply):
            yield AppliedOperation(
                operation, rule.id, rule.place.at("apply", at, operation.name), rule.goal, True, False, merged
            )
    for rule in subject.rules["budgets"]:
        document = rule.place.document.document
        budget = document.budgets[int(rule.place.path[1])]  # type: ignore[attr-defined]  # as above
        for step, threshold in enumerate(budget.thresholds):
            for at, operation in enumerate(threshold.rewrite):
                place = rule.place.at("thresholds", step, "rewrite", at, operation.name)
                yield AppliedOperation(operation, rule.id, place, rule.goal, False)


def _of_routes(subject: Subject) -> Iterator[AppliedOperation]:
    """Yield what each route applies where none before it matches; behind many routes, that takes too long to search."""
    before: list[Goal] = []
    for rule in islice(subject.rules["routes"], _MOST_ROUTES):
        document = rule.place.document.document
        route = document.routes[int(rule.place.path[1])]  # type: ignore[attr-defined]  # as below
        goal = Every([rule.goal, *before]) if route.apply else rule.goal
        for at, operation in enumerate(route.apply):
            yield AppliedOperation(operation, rule.id, rule.place.at("apply", at, operation.name), goal, True, True)
        if not rule.passes_on:
            before.append(rule.otherwise)
    if len(subject.rules["routes"]) > _MOST_ROUTES:
        return
    policy_set = subject.bundle.linked.policy_set
    for at, operation in enumerate(policy_set.document.defaults.route.apply):
        place = Place(policy_set, ("defaults", "route", "apply", at, operation.name))
        yield AppliedOperation(operation, "default", place, Every(before), True, True)


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
    if later.replace is not None and (earlier.redact is not None or earlier.replace is not None):
        return _replaced(later, earlier, rule, tokenizer)
    if later.clamp_params is not None and earlier.remove_params is not None:
        removed = {canonical_parameter(name) for name in earlier.remove_params.root}
        gone = all(canonical_parameter(name) in removed for name in later.clamp_params.root)
        return f"`{rule}` removes the parameter" if gone else ""
    return _done(later, earlier, rule)


def _done(later: Operation, earlier: Operation, rule: str) -> str:
    """Say that an earlier operation of the same kind goes at least as far."""
    one, two = getattr(earlier, later.name), getattr(later, later.name)
    if one is None:
        return ""
    if later.redact is not None and earlier.redact is not None:
        covered = set(later.redact.kinds) <= set(earlier.redact.kinds) and _alike(one, two, "kinds")
        return f"`{rule}` redacts the same" if covered else ""
    if later.drop_examples is not None and earlier.drop_examples is not None:
        covered = later.drop_examples.keep >= earlier.drop_examples.keep and _alike(one, two, "keep")
        return f"`{rule}` keeps no more examples" if covered else ""
    if later.trim_history is not None and earlier.trim_history is not None:
        covered = later.trim_history.max_prompt_tokens >= earlier.trim_history.max_prompt_tokens
        return f"`{rule}` trims to no more tokens" if covered and _alike(one, two, "max_prompt_tokens") else ""
    if later.shorten_tool_output is not None and earlier.shorten_tool_output is not None:
        covered = later.shorten_tool_output.max_tokens >= earlier.shorten_tool_output.max_tokens
        return f"`{rule}` leaves no more tokens" if covered and _alike(one, two, "max_tokens") else ""
    if later.remove_tools is not None and earlier.remove_tools is not None:
        names = later.remove_tools.names
        covered = bool(names) and all(any(fnmatchcase(n, p) for p in earlier.remove_tools.names) for n in names)
        return f"`{rule}` removes these tools" if covered else ""
    return ""


def _alike(one: BaseModel, other: BaseModel, but: str) -> bool:
    return one.model_dump(exclude={but}) == other.model_dump(exclude={but})


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


def _replaced(later: Operation, earlier: Operation, rule: str, tokenizer: Tokenizer) -> str:
    """Say that what a pattern matches is gone before, where the examples show it."""
    assert later.replace is not None
    steps = [compile_operation(operation, {}, tokenizer) for operation in (earlier, later)]
    texts = [text for text in texts_matching(later.replace.pattern) if _changes(steps[1:], text)]
    if not texts:
        texts = [text for text in _SAMPLES if _changes(steps[1:], text)]
    if texts and not any(_changes(steps[1:], _after(steps[:1], text)) for text in texts):
        return f"`{rule}` {'redacts' if earlier.redact is not None else 'replaces'} what its pattern matches"
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
