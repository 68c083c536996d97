"""What every check looks at, and how it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.checker.conditions import Condition, condition_of
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.documents import Document
from costlens_policy.expressions import Extent, TypedExpr
from costlens_policy.source.located import Path
from costlens_policy.source.places import part_span

__all__ = ["Check", "Finding", "Place", "Subject"]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Subject:
    """A linked bundle whose expressions are typed. ``day`` (UTC) says which prices are in force."""

    bundle: LinkedBundle
    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    day: date
    _variables: dict[LinkedDocument[Document], Mapping[str, TypedExpr]] = field(default_factory=dict, repr=False)
    _conditions: dict[Place, Condition] = field(default_factory=dict, repr=False)

    def documents(self) -> tuple[LinkedDocument[Document], ...]:
        """Return the documents with rules: the policy set and its policies, in order."""
        return (self.bundle.policy_set, *self.bundle.policies)

    def typed(self, place: Place) -> TypedExpr | None:
        """Return the expression at a place, or None where there is none."""
        return self.expressions[place.document].get(place.path)

    def variables(self, document: LinkedDocument[Document]) -> Mapping[str, TypedExpr]:
        """Return the typed variables of a document by name."""
        if document not in self._variables:
            typed = self.expressions[document].items()
            self._variables[document] = {str(path[1]): found for path, found in typed if path[0] == "variables"}
        return self._variables[document]

    def condition(self, place: Place) -> Condition:
        """Return what the condition at a place says; one that is left out always holds."""
        if place not in self._conditions:
            self._conditions[place] = condition_of(self.typed(place), self.variables(place.document))
        return self._conditions[place]


Check: TypeAlias = Callable[[Subject], Iterator[Diagnostic]]
"""A check looks at a subject and yields what it finds. All that one check finds carries the same code."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Makes the diagnostics of one check."""

    code: str

    def error(
        self, message: str, span: Span, label: str = "", advice: str = "", related: Sequence[Related] = ()
    ) -> Diagnostic:
        return Diagnostic(self.code, Severity.ERROR, message, span, label, advice, tuple(related))

    def mistake(
        self, message: str, span: Span, label: str = "", advice: str = "", related: Sequence[Related] = ()
    ) -> Diagnostic:
        """Return an error in what is meant: ``check`` fails, and whoever loads the policies is warned."""
        return Diagnostic(self.code, Severity.ERROR, message, span, label, advice, tuple(related), stops=False)

    def warning(
        self, message: str, span: Span, label: str = "", advice: str = "", related: Sequence[Related] = ()
    ) -> Diagnostic:
        return Diagnostic(self.code, Severity.WARNING, message, span, label, advice, tuple(related))
