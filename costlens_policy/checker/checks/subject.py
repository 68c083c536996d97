"""The input of a check: the bundle, its rules and operations in order with their places, and how to report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import date
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

from costlens_policy.catalogue import Model
from costlens_policy.checker.attributes import ROOT_TYPES, model_values
from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument, inner_and_own, named_models, passes_on
from costlens_policy.checker.condition import ALWAYS, Condition, condition_of
from costlens_policy.diagnostics.model import Diagnostic, Edit, Related, Severity, Shown, Span
from costlens_policy.documents import Document, PolicyDocument
from costlens_policy.documents.policy import AccessRule, Route
from costlens_policy.documents.rewrites import Operation, Rewrite
from costlens_policy.expressions import Extent, TypedExpr
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path, part_span

__all__ = [
    "Applied", "Check", "Finding", "Fix", "Place", "Placed", "Subject", "access_rules", "applied", "catalogue_models",
    "holds_for", "operations_of", "rewrites", "routes",
]  # fmt: skip


T = TypeVar("T")


@frozen
class Place:
    """A value of a document; reports are made at it."""

    document: LinkedDocument[Document]
    path: Path

    def at(self, *steps: str | int) -> Place:
        return Place(self.document, (*self.path, *steps))

    @property
    def span(self) -> Span:
        """Where the value is written; of a mapping or list, its name."""
        value = self.document.located.root.find(self.path)
        if value is None or value.kind == "scalar":
            return self.document.located.root.span_of(self.path)
        return self.key_span

    @property
    def key_span(self) -> Span:
        """Where the key is written; of an item of a list, its first key."""
        root = self.document.located.root
        return root.key_span(self.path) or root.span_of((*self.path, ""))

    @property
    def name_span(self) -> Span:
        """Where the key is written; of a single value in a list, the value."""
        value = self.document.located.root.find(self.path)
        in_list = value is not None and value.kind == "scalar" and isinstance(self.path[-1], int)
        return self.span if in_list else self.key_span

    def part(self, extent: Extent) -> Span:
        """Where a part of a text is written, such as a name inside an expression."""
        value = self.document.located.root.find(self.path)
        assert value is not None
        return part_span(self.document.located.source, value, extent.start, extent.end)

    @property
    def exists(self) -> bool:
        return self.document.located.root.find(self.path) is not None


@frozen
class Subject:
    """A linked bundle whose expressions are typed. ``day`` (UTC) determines the prices in force."""

    bundle: LinkedBundle
    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    day: date
    _variables: dict[LinkedDocument[Document], Mapping[str, TypedExpr]] = field(default_factory=dict, repr=False)
    _conditions: dict[Place, Condition] = field(default_factory=dict, repr=False)
    _found: dict[object, Sequence[object]] = field(default_factory=dict, repr=False)

    def documents(self) -> tuple[LinkedDocument[Document], ...]:
        """Return the documents with rules: the policy set and its policies, in order."""
        return (self.bundle.policy_set, *self.bundle.policies)

    def typed(self, place: Place) -> TypedExpr | None:
        """Return the expression at a place, or None where there is none."""
        return self.expressions[place.document].get(place.path)

    def variables(self, document: LinkedDocument[Document]) -> Mapping[str, TypedExpr]:
        """Return the typed variables that a document can read by name: its own, and those of the policy set."""
        if document not in self._variables:
            both = (self.expressions[self.bundle.policy_set], self.expressions[document])
            self._variables[document] = {
                str(path[1]): found for typed in both for path, found in typed.items() if path[0] == "variables"
            }
        return self._variables[document]

    def once(self, find: Callable[[Subject], Iterator[T]]) -> Sequence[T]:
        """Return what is found in the subject; several checks go by it, and look for it once."""
        if find not in self._found:
            self._found[find] = tuple(find(self))
        return self._found[find]  # type: ignore[return-value]  # what this function found

    def condition(self, place: Place) -> Condition:
        """Return the condition at a place; a missing one always holds."""
        if place not in self._conditions:
            self._conditions[place] = condition_of(self.typed(place), self.variables(place.document))
        return self._conditions[place]


Check: TypeAlias = Callable[[Subject], Iterator[Diagnostic]]
"""A check examines a subject and yields its findings, all with the same code."""


Fix: TypeAlias = Callable[[], tuple[Edit, ...]]
"""Makes the edits that correct what is found, when somebody asks for them: that takes a while."""


@frozen
class Finding:
    """Makes the diagnostics of one check."""

    code: str

    def error(
        self, message: str, span: Span, label: str = "", advice: str = "", related: Sequence[Related] = ()
    ) -> Diagnostic:
        return Diagnostic(self.code, Severity.ERROR, message, span, label, advice, tuple(related))

    def mistake(
        self,
        message: str,
        span: Span,
        label: str = "",
        advice: str = "",
        related: Sequence[Related] = (),
        *,
        witnesses: Sequence[Shown] = (),
        proved: bool = False,
        fix: Fix | None = None,
    ) -> Diagnostic:
        """Return an error that does not prevent loading: ``check`` fails, and ``load`` logs a warning."""
        found = self.warning(message, span, label, advice, related, witnesses=witnesses, proved=proved, fix=fix)
        return replace(found, severity=Severity.ERROR, stops=False)

    def warning(
        self,
        message: str,
        span: Span,
        label: str = "",
        advice: str = "",
        related: Sequence[Related] = (),
        *,
        witnesses: Sequence[Shown] = (),
        proved: bool = False,
        fix: Fix | None = None,
    ) -> Diagnostic:
        """Return a warning. ``witnesses`` are requests that show it, ``proved`` says that all were decided."""
        return Diagnostic(
            self.code, Severity.WARNING, message, span, label, advice, tuple(related),
            witnesses=tuple(witnesses), proved=proved, fix=fix,
        )  # fmt: skip

    def note(self, message: str, span: Span, label: str = "", advice: str = "") -> Diagnostic:
        return Diagnostic(self.code, Severity.NOTE, message, span, label, advice)


R = TypeVar("R", AccessRule, Route, Rewrite)


@frozen
class Placed(Generic[R]):
    """A rule, its place, and its condition. ``name`` is ``policy/rule``."""

    rule: R
    name: str
    policy: LinkedDocument[PolicyDocument]
    place: Place
    condition: Condition


def access_rules(subject: Subject) -> Iterator[Placed[AccessRule]]:
    """Yield the access rules of all layers, in order."""
    for policy in subject.bundle.policies:
        yield from _placed(subject, policy, "access", policy.document.access)


def routes(subject: Subject) -> Iterator[Placed[Route]]:
    """Yield the routes of all layers, in the order in which they are tried."""
    for policy in subject.bundle.policies:
        yield from _placed(subject, policy, "routes", policy.document.routes)


def rewrites(subject: Subject) -> Iterator[Placed[Rewrite]]:
    """Yield the rewrites of all layers, in the order in which they are applied."""
    for policy in subject.bundle.policies:
        yield from _placed(subject, policy, "rewrites", policy.document.rewrites)


def catalogue_models(subject: Subject) -> Iterator[tuple[Model, Place]]:
    """Yield the models of the catalogue that the set and its policies name, and where they do."""
    for document in subject.documents():
        for named in named_models(document.document):
            model = subject.bundle.catalogue.find(named.name)
            if model is not None:
                yield model, Place(document, named.path)


def holds_for(subject: Subject, condition: TypedExpr, model: Model) -> bool | None:
    """Return whether a condition holds for a model on the day, None where it reads anything else. It fails: false."""
    if any(reference[0] != "model" for reference in condition.references):
        return None
    record = model_values(model, model.period_on(subject.day), subject.day)
    try:
        evaluate = compile_expression(condition, tuple(ROOT_TYPES))
        return bool(evaluate(*(record if root == "model" else None for root in ROOT_TYPES)))
    except CelError:
        return False


def _placed(
    subject: Subject, policy: LinkedDocument[PolicyDocument], section: str, rules: tuple[R, ...]
) -> Iterator[Placed[R]]:
    for index, rule in enumerate(rules):
        place = Place(policy, (section, index))
        yield Placed(rule, f"{policy.name}/{rule.id}", policy, place, subject.condition(place.at("when")))


@frozen
class Applied:
    """The operations of a rewrite, or those of a route, which come before those of all rewrites.

    ``name`` is ``policy/rule``, or ``default``. Of a route, ``routes`` are the conditions of all routes that keep what
    they match, and ``at`` is how many of them are asked before it; of a rewrite, there are none.
    """

    name: str
    operations: tuple[Operation, ...]
    place: Place
    condition: Condition
    merge: str | None = None
    routes: tuple[Condition, ...] = ()
    at: int = 0

    def excludes(self, later: Applied) -> bool:
        """Return whether no call gets both: one route decides, and conditions may exclude each other."""
        if self.routes and later.routes:
            return True
        if self.condition.excludes(later.condition):
            return True
        return any(later.condition.implies(condition) for condition in islice(self.routes, self.at))


def applied(subject: Subject) -> Iterator[Applied]:
    """Yield what routes and the default route apply, then the rewrites of all layers, in order."""
    policy_set, placed = subject.bundle.policy_set, tuple(routes(subject))
    default = policy_set.document.defaults.route
    conditions = (*(route.condition for route in placed if not passes_on(route.rule)), ALWAYS)
    before = 0
    for route in placed:
        for path, target in inner_and_own(route.rule, route.place.path):
            if target.apply:
                place = Place(route.policy, path)
                yield Applied(route.name, target.apply, place, route.condition, None, conditions, before)
        before += not passes_on(route.rule)
    for path, target in inner_and_own(default, ("defaults", "route")):
        if target.apply:
            yield Applied("default", target.apply, Place(policy_set, path), ALWAYS, None, conditions, before)
    for rewrite in rewrites(subject):
        rule = rewrite.rule
        yield Applied(rewrite.name, rule.apply, rewrite.place, rewrite.condition, rule.merge)


def operations_of(subject: Subject) -> Iterator[tuple[Operation, Place]]:
    """Yield the operations of all rules in order, with their places."""
    for item in applied(subject):
        for step, operation in enumerate(item.operations):
            yield operation, item.place.at("apply", step)
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            for at, threshold in enumerate(budget.thresholds):
                for step, operation in enumerate(threshold.rewrite):
                    yield operation, Place(policy, ("budgets", index, "thresholds", at, "rewrite", step))
