"""Type every expression of a linked bundle, and link the names inside expressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from costlens_policy.checker.attributes import ROOT_TYPES, STANDARD_ATTRIBUTES, model_record, request_record
from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.checker.expressions.environments import Environments
from costlens_policy.checker.expressions.fields import ExpressionField, expressions_of
from costlens_policy.checker.expressions.limits import limits_of
from costlens_policy.checker.expressions.presence import MAY_BE_MISSING, implied_by_variables, missing_reads
from costlens_policy.checker.records import unknown_facts
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents import Document, PolicyDocument
from costlens_policy.expressions import (
    BOOL,
    DEFAULT_LIMITS,
    DOUBLE,
    DYN,
    INT,
    STRING,
    UINT,
    Limits,
    Problem,
    Record,
    TypedExpr,
    analyse,
)
from costlens_policy.expressions.cost import Sizes
from costlens_policy.expressions.types import UNKNOWN
from costlens_policy.source.located import LocatedDocument, Path
from costlens_policy.source.places import part_span

__all__ = ["Analysis", "analyse_alone", "analyse_bundle"]

_TOO_DEAR: Final = "CL319"
_EXPECTED: Final = {"bool": BOOL, "string": STRING}
_NUMBERS: Final = (INT, DOUBLE, UINT, DYN, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The expressions that could be typed, by document and path, and what is wrong with any.

    ``failed`` are the documents with an expression that could not be typed.
    """

    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    diagnostics: tuple[Diagnostic, ...]
    failed: frozenset[LinkedDocument[Document]]


def analyse_bundle(bundle: LinkedBundle) -> Analysis:
    """Type the expressions of the policy set and its policies."""
    expressions: dict[LinkedDocument[Document], Mapping[Path, TypedExpr]] = {}
    diagnostics: list[Diagnostic] = []
    failed: set[LinkedDocument[Document]] = set()
    limits = limits_of(bundle.policy_set.document.limits)
    request = request_record(bundle.attributes, Sizes(limits))
    model = model_record(unknown_facts(bundle.catalogue, bundle.policy_set.document.admit))
    for document in (bundle.policy_set, *bundle.policies):
        analyst = _Analyst(document, request, model, limits)
        expressions[document] = analyst.run()
        diagnostics += analyst.diagnostics
        if analyst.failed:
            failed.add(document)
    return Analysis(expressions, tuple(diagnostics), frozenset(failed))


def analyse_alone(policy: LinkedDocument[PolicyDocument]) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a policy's expressions whatever the policy set: its attributes are not known."""
    unknowable = ("CL302", MAY_BE_MISSING, _TOO_DEAR)
    request = request_record(STANDARD_ATTRIBUTES, Sizes(DEFAULT_LIMITS))
    analyst = _Analyst(policy, request, model_record(), DEFAULT_LIMITS)
    analyst.run()
    return tuple(
        item
        for item in analyst.diagnostics
        if item.code not in unknowable or (item.code == "CL302" and "request." not in item.message)
    )


class _Analyst:
    """Types the expressions of one document, its variables first and in order."""

    def __init__(self, document: LinkedDocument[Document], request: Record, model: Record, limits: Limits) -> None:
        self._document = document
        self._limits = limits
        content = document.document
        names = content.variables if isinstance(content, PolicyDocument) else ()
        self._environments = Environments(request, model, names)
        self.diagnostics: list[Diagnostic] = []
        self.failed = False

    def run(self) -> Mapping[Path, TypedExpr]:
        found: dict[Path, TypedExpr] = {}
        for field in expressions_of(self._document.document):
            typed = self._type(field)
            if typed is None:
                self.failed = True
            else:
                found[field.path] = typed
        implied = implied_by_variables(found)
        for path, typed in found.items():
            self._report(path, missing_reads(path, typed, found, implied))
        return found

    def _type(self, field: ExpressionField) -> TypedExpr | None:
        environment = self._environments.of(field.rule.roots)
        analysed = analyse(field.text, environment, _EXPECTED.get(field.rule.result), self._limits)
        typed = analysed.typed
        if analysed.worst is not None and typed is not None and field.path[0] == "variables":
            self._environments.learn(str(field.path[1]), typed.type, analysed.worst.shape)
        # Whether an attribute may be missing depends on the rule around; it is asked once all are typed.
        problems = [_within_reach(item, field) for item in analysed.problems if item.code != MAY_BE_MISSING]
        if typed is not None and field.rule.result == "number" and typed.type not in _NUMBERS:
            message = f"a number is expected here, and this is of type {typed.type}"
            problems.append(Problem("CL309", message, typed.root.extent, f"type {typed.type}"))
            typed = None
        self._report(field.path, problems)
        return typed

    def _report(self, path: Path, problems: Iterable[Problem]) -> None:
        self.diagnostics += _placed(self._document.located, path, problems)


def _within_reach(problem: Problem, field: ExpressionField) -> Problem:
    """Say of a name that other stages know why it is not known here."""
    name = field.text[problem.extent.start : problem.extent.end]
    if problem.code != "CL302" or name not in ROOT_TYPES or name in field.rule.roots:
        return problem
    return replace(
        problem,
        code="CL215",
        message=f"`{name}` cannot be read here",
        label="not known at this step",
        help=f"this expression reads {listed(field.rule.roots)}; {_KNOWN_LATER[name]}",
    )


_KNOWN_LATER: Final = {
    "request": "the request is known to every step",
    "variables": "variables belong to one policy and are not known outside it",
    "model": "`model` is known once there are candidates: in access rules, `choose`, rewrites and budgets",
    "estimate": "`estimate` is known where candidates are compared: in `minimize` and `maximize`",
    "budgets": "`budgets` is known in the conditions of access rules, routes and rewrites, and in `exclude`",
    "now": "the time is known to every step",
}


def _placed(located: LocatedDocument, path: Path, problems: Iterable[Problem]) -> Iterator[Diagnostic]:
    value = located.root.find(path)
    assert value is not None
    for item in problems:
        span = part_span(located.source, value, item.extent.start, item.extent.end)
        yield Diagnostic(item.code, item.severity, item.message, span, item.label, item.help)
