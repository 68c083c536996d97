"""CL437: the scope of a budget, or the key of a split, that does not tell callers apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import ABSENT, Nothing
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import PolicyDocument
from costlens_policy.documents.budget import CalendarWindow
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.tree import Call, Conditional, Index, Literal, Name, Node, Presence, Select

__all__ = ["find_constant_keys"]

_FOUND: Final = Finding("CL437")
_TEXTS: Final = frozenset({
    "prompt", "system", "messages", "id", "prompt_tokens", "max_output_tokens", "cost_budget", "latency_budget_ms",
})  # fmt: skip
_CALLS: Final = frozenset(
    {"request_id", "call_id", "trace_id", "span_id", "message_id", "event_id", "uuid", "nonce", "timestamp"}
)
"""Names of what identifies a single call."""


def find_constant_keys(subject: Subject) -> Iterator[Diagnostic]:
    """Report scopes and keys that are the same for all, and those that differ from one call to the next."""
    for rule in subject.rules["budgets"]:
        place = rule.place.at("scope")
        typed = subject.documents.typed(place)
        if typed is not None:
            yield from _scope(subject, rule.id, place, typed)
            yield from _sessions(rule, place, typed)
    for document in subject.documents.documents():
        for path, target in all_targets_of(document.document):
            place = Place(document, (*path, "split", "key"))
            typed = subject.documents.typed(place) if target.split is not None else None
            if typed is not None and place.exists:
                yield from _key(subject, place, typed)


def _scope(subject: Subject, name: str, place: Place, typed: TypedExpr) -> Iterator[Diagnostic]:
    if not _reads(subject, place, typed):
        yield _FOUND.mistake(
            f"the scope of `{name}` is the same text for every call",
            place.span,
            "reads nothing of the request",
            "leave `scope` out for one limit that all share, or write it without quotes inside",
        )
    elif fresh := _fresh(typed):
        yield _FOUND.mistake(
            f"the scope of `{name}` differs from one call to the next, so that calls do not add up",
            place.span,
            f"reads `{fresh}`",
            "let the scope say who shares the limit, such as `request.team`",
        )
    elif _says_whether(typed.root):
        yield _FOUND.mistake(
            f"the scope of `{name}` depends only on whether an attribute is there, not on its value",
            place.span,
            "a few keys for all callers",
            'read the attribute itself, as in `request.?team.orValue("nobody")`',
        )
    elif ("now",) in typed.references:
        yield _FOUND.mistake(
            f"the scope of `{name}` changes with the time, so that calls do not add up",
            place.span,
            "reads `now`",
            "the `window` of a budget is what restarts; let the scope say who shares it",
        )


def _sessions(rule: Rule, place: Place, typed: TypedExpr) -> Iterator[Diagnostic]:
    """Warn of a month's money for each session: who opens another one has another month's."""
    document = place.document.document
    window = document.budgets[int(place.path[1])].window if isinstance(document, PolicyDocument) else None
    if isinstance(window, CalendarWindow) and window.calendar not in ("day", "hour"):
        reads = {reference for reference in typed.references if reference[0] == "request"}
        if reads and all(reference[1:2] == ("session",) for reference in reads):
            yield _FOUND.warning(
                f"every session has a {window.calendar} of `{rule.id}` for itself",
                place.span,
                "a caller who opens another session has all of it again",
                "let the scope say who pays, such as `request.user`, or use a window as long as a session",
            )


def _reads(subject: Subject, place: Place, typed: TypedExpr) -> bool:
    """Say whether an expression reads something beside variables that read nothing."""
    variables = subject.documents.variables(place.document)
    return any(
        reference[0] != "variables"
        or len(reference) < 2
        or reference[1] not in variables
        or _reads(subject, place, variables[reference[1]])
        for reference in typed.references
    )


def _says_whether(node: Node) -> bool:
    """Say whether a key depends on nothing but whether attributes are there."""
    if isinstance(node, Call) and node.function == "string":
        return _is_presence(node.arguments[0])
    if not (isinstance(node, Conditional) and _is_presence(node.condition)):
        return False
    return all(isinstance(item, Literal) or _says_whether(item) for item in (node.accepted, node.rejected))


def _is_presence(node: Node) -> bool:
    return isinstance(node, Presence) or (isinstance(node, Call) and node.function == "hasValue")


def _fresh(typed: TypedExpr) -> str:
    """Return what a key reads that differs for each call, its texts and ids by their names; empty for nothing."""
    for node in nodes_of(typed.root):
        of_request = isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "request"
        if isinstance(node, Select) and of_request and node.field in _TEXTS:
            return f"request.{node.field}"
        name = node.field if isinstance(node, Select) else _literal_key(node)
        if name.lower().replace("-", "_") in _CALLS:
            return name
    return ""


def _literal_key(node: Node) -> str:
    return str(node.key.value) if isinstance(node, Index) and isinstance(node.key, Literal) else ""


def _key(subject: Subject, place: Place, typed: TypedExpr) -> Iterator[Diagnostic]:
    if ("now",) in typed.references:
        yield _FOUND.warning(
            "the key of the split changes with the time, so that nobody keeps a model",
            place.span,
            "reads `now`",
            "use what stays the same for a caller, such as `request.user`, or leave `key` out to draw each call",
        )
    elif fresh := _fresh(typed):
        yield _FOUND.warning(
            "the key of the split differs from one call to the next, so that nobody keeps a model",
            place.span,
            f"reads `{fresh}`",
            "use what stays the same for a caller, such as `request.user`, or leave `key` out to draw each call",
        )
    elif not _reads(subject, place, typed):
        yield _FOUND.warning(
            "the key of the split is the same text for every call", place.span, "reads nothing of the request",
            "use what differs from one caller to the next, such as `request.user`",
        )  # fmt: skip
    elif (name := _optional_with_default(typed)) and not _is_guarded(subject, place, name):
        yield _FOUND.warning(
            f"all callers without `{name}` fall into one share of the split",
            place.span,
            "one key for all of them",
            f"let the route match only where `has(request.{name})`, or use what every request has",
        )


def _optional_with_default(typed: TypedExpr) -> str:
    """Return the attribute that a key reads with a text in its place where it is missing."""
    root = typed.root
    if not (isinstance(root, Call) and root.function == "orValue" and isinstance(root.target, Select)):
        return ""
    return root.target.field if isinstance(root.arguments[0], Literal) and root.target.optional else ""


def _is_guarded(subject: Subject, place: Place, name: str) -> bool:
    """Say whether the route matches no request without the attribute."""
    read = ("request", name)
    routes = (rule for rule in subject.rules["routes"] if rule.place.document is place.document)
    route = next((rule for rule in routes if rule.place.path == place.path[:2]), None)
    if route is None or read not in subject.domain.uses.by_read:
        return False
    return isinstance(subject.domain.find(route.goal, {read: ABSENT}), Nothing)
