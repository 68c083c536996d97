"""Type the expressions of a bundle: where they stand, under which names and limits, and what they may read.

Variables and budgets that they name must exist, and variables must not read one another in a circle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from costlens_policy.checker.attributes import (
    BUDGET,
    ESTIMATE,
    ROOT_TYPES,
    SIGNALS,
    STANDARD_ATTRIBUTES,
    WARM_TOKENS,
    model_record,
    request_record,
    signals_record,
    unknown_facts,
)
from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument, SharedData
from costlens_policy.checker.data import NO_DATA
from costlens_policy.checker.reads import (
    MAY_BE_MISSING,
    ExpressionField,
    assured_by_access,
    assured_by_routes,
    budget_reads,
    expressions_of,
    implied_by_variables,
    missing_reads,
    signal_reads,
    variable_reads,
)
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import Document, PolicyDocument, PolicySetDocument
from costlens_policy.documents.policy_set import ExpressionLimits
from costlens_policy.expressions import (
    BOOL,
    DEFAULT_LIMITS,
    DOUBLE,
    DYN,
    INT,
    STRING,
    UINT,
    Environment,
    Extent,
    Field,
    Limits,
    Problem,
    Record,
    Type,
    TypedExpr,
    analyze,
)
from costlens_policy.expressions.checking.presence import Implied, Paths
from costlens_policy.expressions.functions.costs import Sizes
from costlens_policy.expressions.types import UNKNOWN, Shape
from costlens_policy.frozen import frozen
from costlens_policy.source.located import LocatedDocument, Path, part_span

__all__ = [
    "Analysis", "Environments", "analyze_alone", "analyze_beside", "analyze_bundle", "check_budget_names",
    "check_variables", "limits_of", "records_of", "variables_of",
]  # fmt: skip

_NOTHING: Final[Paths] = frozenset()
_TOO_DEAR: Final = "CL319"
_EXPECTED: Final = {"bool": BOOL, "string": STRING}
_NUMBERS: Final = (INT, DOUBLE, UINT, DYN, UNKNOWN)


@frozen
class Analysis:
    """The expressions that could be typed, by document and path, and what is wrong with any.

    ``failed`` are the documents with an expression that could not be typed.
    """

    expressions: Mapping[LinkedDocument[Document], Mapping[Path, TypedExpr]]
    diagnostics: tuple[Diagnostic, ...]
    failed: frozenset[LinkedDocument[Document]]


def analyze_bundle(bundle: LinkedBundle) -> Analysis:
    """Type the expressions of the policy set and its policies."""
    expressions: dict[LinkedDocument[Document], Mapping[Path, TypedExpr]] = {}
    diagnostics: list[Diagnostic] = []
    failed: set[LinkedDocument[Document]] = set()
    limits = limits_of(bundle.policy_set.document.limits)
    records = records_of(bundle)
    shared = _NONE_SHARED
    analysts = []
    for document in (bundle.policy_set, *bundle.policies):
        analyst = _Analyst(document, records, limits, shared, bundle.data)
        analysts.append(analyst)
        expressions[document] = analyst.run()
        if document is bundle.policy_set:
            shared = analyst.shared()
    assured = _NOTHING.union(*(analyst.assured() for analyst in analysts))
    passed = _NOTHING
    for analyst in (*analysts[1:], analysts[0]):  # the default route is asked last
        passed = analyst.report_missing(assured, passed)
    for analyst, document in zip(analysts, expressions, strict=True):
        diagnostics += analyst.diagnostics
        if analyst.failed:
            failed.add(document)
    return Analysis(expressions, tuple(diagnostics), frozenset(failed))


def analyze_beside(bundle: LinkedBundle, document: LinkedDocument[Document]) -> Analysis:
    """Type the expressions of a document that speaks of a policy set without being part of it.

    They read what those of the policy set read, its variables included.
    """
    limits = limits_of(bundle.policy_set.document.limits)
    records = records_of(bundle)
    around = _Analyst(bundle.policy_set, records, limits, _NONE_SHARED, bundle.data)
    around.run()
    analyst = _Analyst(document, records, limits, around.shared(), bundle.data)
    expressions = {document: analyst.run()}
    analyst.report_missing(_NOTHING)
    failed = frozenset({document}) if analyst.failed else frozenset[LinkedDocument[Document]]()
    found = Analysis(expressions, (), failed)
    budgets = _unknown_budgets(found, (document,), _owners_of_budgets(bundle))
    return Analysis(expressions, (*analyst.diagnostics, *budgets), failed)


def analyze_alone(policy: LinkedDocument[PolicyDocument]) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a policy's expressions whatever the policy set: its attributes are not known."""
    unknowable = ("CL302", MAY_BE_MISSING, _TOO_DEAR)
    request = request_record(STANDARD_ATTRIBUTES, Sizes(DEFAULT_LIMITS))
    analyst = _Analyst(policy, (request, model_record()), DEFAULT_LIMITS, _NONE_SHARED, None)
    analyst.run()
    analyst.report_missing(analyst.assured())
    return tuple(
        item
        for item in analyst.diagnostics
        if item.code not in unknowable or (item.code == "CL302" and not _BY_THE_SET.search(item.message))
    )


_BY_THE_SET: Final = re.compile(r"`(request|variables)\.")
"""What a policy set may declare."""


def records_of(bundle: LinkedBundle) -> tuple[Record, ...]:
    """Return the records ``request``, ``model`` and, where they are known, ``signals`` of a policy set."""
    document, signals = bundle.policy_set.document, bundle.signals
    request = request_record(bundle.attributes, Sizes(limits_of(document.limits)))
    model = model_record(unknown_facts(bundle.catalogue, document.admit))
    return (request, model, *((signals_record(signals.by_name.values()),) if signals.complete else ()))


def variables_of(document: Document) -> Mapping[str, str]:
    """Return the variables that a document declares, as texts."""
    return document.variables if isinstance(document, PolicyDocument | PolicySetDocument) else {}


@frozen
class Shared:
    """The variables of the policy set, by name and by path, as far as they could be typed."""

    fields: Mapping[str, Field]
    expressions: Mapping[Path, TypedExpr]


_NONE_SHARED: Final = Shared({}, {})


class _Analyst:
    """Types the expressions of one document, its variables first and in order."""

    def __init__(
        self,
        document: LinkedDocument[Document],
        records: Sequence[Record],
        limits: Limits,
        shared: Shared,
        data: SharedData | None,
    ) -> None:
        self._document = document
        self._limits = limits
        self._shared = shared
        self._environments = Environments(records, data, variables_of(document.document), shared.fields)
        self._found: dict[Path, TypedExpr] = {}
        self._implied: Implied = {}
        self.diagnostics: list[Diagnostic] = []
        self.failed = False

    def run(self) -> Mapping[Path, TypedExpr]:
        found = self._found
        for field in expressions_of(self._document.document):
            typed = self._type(field)
            if typed is None:
                self.failed = True
            else:
                found[field.path] = typed
        self._implied = implied_by_variables({**self._shared.expressions, **found})
        return found

    def assured(self) -> Paths:
        """Return what every request has that the access rules of this document let through."""
        document = self._document.document
        if not isinstance(document, PolicyDocument):
            return _NOTHING
        return assured_by_access(document, self._found, self._implied)

    def report_missing(self, assured: Paths, passed: Paths = _NOTHING) -> Paths:
        """Report what may be missing where it is read, once every document is typed.

        A request has what is ``assured`` where access lets it through, and what is ``passed`` where no route of earlier
        policies keeps it. Return what it has where none of this document does, either.
        """
        document = self._document.document
        routed: Sequence[Paths] = [_NOTHING]
        if isinstance(document, PolicyDocument):
            routed = assured_by_routes(document, self._found, self._implied)
        for path, typed in self._found.items():
            there = assured
            if path[0] == "routes":
                there |= passed | routed[int(path[1])]
            elif path[:2] == ("defaults", "route"):
                there |= passed
            self._report(path, missing_reads(path, typed, self._found, self._implied, there))
        return passed | routed[-1]

    def shared(self) -> Shared:
        """Return the variables of the document, for other readers."""
        typed = {path: typed for path, typed in self._found.items() if path[0] == "variables"}
        return Shared(self._environments.variables, typed)

    def _type(self, field: ExpressionField) -> TypedExpr | None:
        environment = self._environments.of(field.rule.roots)
        analyzed = analyze(field.text, environment, _EXPECTED.get(field.rule.result), self._limits)
        typed = analyzed.typed
        if analyzed.worst is not None and typed is not None and field.path[0] == "variables":
            self._environments.learn(str(field.path[1]), typed.type, analyzed.worst.shape)
        # Whether an attribute may be missing depends on the rule around; it is asked once all are typed.
        problems = [_within_reach(item, field) for item in analyzed.problems if item.code != MAY_BE_MISSING]
        if typed is not None and field.rule.result == "number" and typed.type not in _NUMBERS:
            shown = environment.plain(typed.type)
            message = f"the expression must be a number, got type {shown}"
            problems.append(Problem("CL309", message, typed.root.extent, f"type {shown}"))
            typed = None
        self._report(field.path, problems)
        return typed

    def _report(self, path: Path, problems: Iterable[Problem]) -> None:
        self.diagnostics += _placed(self._document.located, path, problems)


def _within_reach(problem: Problem, field: ExpressionField) -> Problem:
    """Explain why a name that other stages know is not available here."""
    name = field.text[problem.extent.start : problem.extent.end]
    for root, kind in _BY_DOCUMENTS.items():
        if problem.help == _NONE and problem.message.startswith(f"unknown variable `{root}."):
            return replace(problem, help=f"list a `kind: {kind}` document under `{root}` of the policy set")
    if problem.code != "CL302" or name not in _KNOWN_LATER or name in field.rule.roots:
        return problem
    return replace(
        problem,
        code="CL215",
        message=f"`{name}` cannot be read here",
        label="not available at this step",
        help=f"this expression can read {listed(field.rule.roots)}; {_KNOWN_LATER[name]}",
    )


_NONE: Final = "it has none"
"""What is reported of a record without fields, such as ``data`` where the policy set lists no documents."""
_BY_DOCUMENTS: Final = {"data": "Data", "signals": "Signals"}
"""What documents of a kind bring."""
_KNOWN_LATER: Final = {
    "request": "the request is available at every step",
    "variables": "variables are available at every step",
    "model": "`model` is available once there are candidates: in access rules, `choose`, rewrites, and the `when` and"
    " `scope` of budgets",
    "estimate": "`estimate` is available where candidates are compared: in `minimize` and `maximize`",
    "budgets": "`budgets` is available in the conditions of access rules, routes and rewrites, and in `exclude`",
    "now": "the time is available at every step",
}


def _placed(located: LocatedDocument, path: Path, problems: Iterable[Problem]) -> Iterator[Diagnostic]:
    value = located.root.find(path)
    assert value is not None
    for item in problems:
        span = part_span(located.source, value, item.extent.start, item.extent.end)
        yield Diagnostic(item.code, item.severity, item.message, span, item.label, item.help)


_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {SIGNALS: ("request", SIGNALS)}
_ENTRIES: Final = {("model", WARM_TOKENS): (("request", WARM_TOKENS), "name")}
"""What a model has of a request is an entry of the request, so that whatever reads requests knows of it."""


class Environments:
    """Environments of one document by the roots that a field may name; ``data`` may be named by every field.

    ``records`` are ``request``, ``model`` and, where they are known, ``signals``, for all that may read ``request``.
    ``shared`` are variables of the policy set. A variable is of type ``UNKNOWN`` until it is learned, and stays so when
    it cannot be typed: what reads it is then left in peace. Without ``data`` nobody knows what the set has there.
    """

    def __init__(
        self,
        records: Sequence[Record],
        data: SharedData | None = NO_DATA,
        variables: Iterable[str] = (),
        shared: Mapping[str, Field] = MappingProxyType({}),
    ) -> None:
        self._fields = {**shared, **dict.fromkeys(variables, Field(UNKNOWN))}
        self._data = DYN if data is None else ROOT_TYPES["data"]
        self._constants = {"data": data.values} if data is not None and data.values else {}
        own = Record("variables", self._fields)
        known = {record.name: record for record in (*records, own, ESTIMATE, BUDGET)}
        self._records = known if data is None else {**known, **data.records}
        self._made: dict[tuple[str, ...], Environment] = {}

    def of(self, roots: tuple[str, ...]) -> Environment:
        """Return the environment of a field; equal roots give the same object."""
        if roots not in self._made:
            named = (*roots, SIGNALS) if "request" in roots else roots
            variables = {root: ROOT_TYPES[root] for root in named} | {"data": self._data}
            aliases = _ALIASES
            if SIGNALS in variables and SIGNALS not in self._records:
                variables[SIGNALS], aliases = DYN, {}
            entries = _ENTRIES if "request" in roots else {}
            self._made[roots] = Environment(
                variables, self._records, constants=self._constants, aliases=aliases, entries=entries
            )
        return self._made[roots]

    @property
    def variables(self) -> Mapping[str, Field]:
        """The variables, as far as they are learned."""
        return self._fields

    def learn(self, variable: str, found: Type, shape: Shape | None) -> None:
        """Note the type of a variable and how large it can be, for all environments."""
        self._fields[variable] = Field(found, shape=shape)


def limits_of(stated: ExpressionLimits) -> Limits:
    """Return what the front end holds expressions to.

    ``iterations`` and ``value_size`` are not among it: they count when an expression runs.
    """
    return Limits(
        source=stated.expression_length,
        nesting=stated.expression_depth,
        literal=stated.literal_length,
        elements=stated.literal_elements,
        cost=stated.cost,
        assumed_list=stated.assumed_list,
        assumed_map=stated.assumed_map,
        assumed_text=stated.assumed_text,
    )


_ALL: Final = ("variables",)


def check_variables(bundle: LinkedBundle, analysis: Analysis, *, has_all_policies: bool) -> Iterator[Diagnostic]:
    """Report variables that are read before they are there, that hide others, and that nothing reads."""
    for document in (bundle.policy_set, *bundle.policies):
        yield from _misordered(document, analysis)
    for policy in bundle.policies:
        yield from _hiding(policy, bundle.policy_set)
        if policy not in analysis.failed:
            yield from _unused(policy, _read(policy, analysis))
    if has_all_policies and not analysis.failed:
        yield from _unused(bundle.policy_set, _read_of_set(bundle, analysis))
        yield from _unused_data(bundle, analysis)
        yield from _unused_signals(bundle, analysis)


def _unused_data(bundle: LinkedBundle, analysis: Analysis) -> Iterator[Diagnostic]:
    expressions = (typed for each in analysis.expressions.values() for typed in each.values())
    read = {path for typed in expressions for path in typed.constants}
    if bundle.data is None or ("data",) in read:
        return
    for index, table in enumerate(bundle.tables):
        if ("data", table.name) not in read:
            message = f"unused data document `{table.name}`"
            span = bundle.policy_set.located.root.span_of(("data", index))
            advice = f"use it as `data.{table.name}`, or remove it from the list"
            yield Diagnostic("CL224", Severity.WARNING, message, span, "unused", advice)


def _unused_signals(bundle: LinkedBundle, analysis: Analysis) -> Iterator[Diagnostic]:
    expressions = (typed for each in analysis.expressions.values() for typed in each.values())
    read = {name for typed in expressions for name, _ in signal_reads(typed)}
    if "" in read or not bundle.signals.complete:
        return
    for document in bundle.signal_documents:
        declared = document.document.signals
        based_on = {item.confidence_of for name, item in declared.items() if name in read}
        for name in declared:
            if name not in read | based_on:
                message = f"unused signal `{name}`"
                span = document.located.root.key_span(("signals", name))
                advice = f"use it as `signals.{name}`, or remove it"
                yield Diagnostic("CL232", Severity.WARNING, message, span, "unused", advice)


def _misordered(document: LinkedDocument[Document], analysis: Analysis) -> Iterator[Diagnostic]:
    order = {name: index for index, name in enumerate(variables_of(document.document))}
    for path, expression in analysis.expressions[document].items():
        if path[0] == "variables":
            for name, extent in variable_reads(expression):
                if order.get(name, -1) >= order[str(path[1])]:
                    yield _too_early(document, path, name, extent)


def _too_early(document: LinkedDocument[Document], path: Path, name: str, extent: Extent) -> Diagnostic:
    own = path[1] == name
    root = document.located.root
    declared = root.key_span(("variables", name))
    related = () if own or declared is None else (Related(declared, "declared here"),)
    return Diagnostic(
        "CL214",
        Severity.ERROR,
        f"`variables.{path[1]}` reads itself"
        if own
        else f"`variables.{path[1]}` reads `{name}`, which is defined below it",
        _span(document, path, extent),
        "not defined yet",
        "a variable can only read those above it" if own else f"move `{name}` above `{path[1]}`",
        related,
    )


def _hiding(
    policy: LinkedDocument[PolicyDocument], policy_set: LinkedDocument[PolicySetDocument]
) -> Iterator[Diagnostic]:
    shared = policy_set.document.variables
    for name in policy.document.variables:
        if name in shared:
            own, other = (item.located.root.key_span(("variables", name)) for item in (policy, policy_set))
            assert own is not None
            assert other is not None
            message = f"the variable `{name}` hides the one that the policy set declares"
            advice = "rename one of the two, or remove this one to read that of the policy set"
            yield Diagnostic(
                "CL220", Severity.WARNING, message, own, "hides it here", advice, (Related(other, "hidden"),)
            )


def _read(document: LinkedDocument[Document], analysis: Analysis) -> frozenset[str]:
    """Return the variables that the expressions of a document read: all where one reads the record as a whole."""
    references = {path for typed in analysis.expressions[document].values() for path in typed.references}
    if _ALL in references:
        return frozenset(variables_of(document.document))
    return frozenset(path[1] for path in references if path[0] == "variables")


def _read_of_set(bundle: LinkedBundle, analysis: Analysis) -> frozenset[str]:
    """Return the variables of the policy set that anything reads."""
    shared = frozenset(bundle.policy_set.document.variables)
    read = _read(bundle.policy_set, analysis)
    for policy in bundle.policies:
        references = {path for typed in analysis.expressions[policy].values() for path in typed.references}
        read |= shared if _ALL in references else _read(policy, analysis) - frozenset(policy.document.variables)
    return read


def _unused(document: LinkedDocument[Document], read: frozenset[str]) -> Iterator[Diagnostic]:
    for name in variables_of(document.document):
        if name not in read:
            message = f"unused variable `{name}`"
            span = document.located.root.key_span(("variables", name))
            advice = f"use it as `variables.{name}`, or remove it"
            yield Diagnostic("CL213", Severity.WARNING, message, span, "unused", advice)


def check_budget_names(bundle: LinkedBundle, analysis: Analysis) -> Iterator[Diagnostic]:
    """Report ``budgets["id"]`` where no budget of the set, or more than one, has the id."""
    yield from _unknown_budgets(analysis, bundle.policies, _owners_of_budgets(bundle))


def _owners_of_budgets(bundle: LinkedBundle) -> Mapping[str, list[str]]:
    """Return the budgets, as ``policy/budget``, that a name may mean."""
    owners: dict[str, list[str]] = {}
    for policy in bundle.policies:
        for budget in policy.document.budgets:
            owners.setdefault(budget.id, []).append(f"{policy.name}/{budget.id}")
            owners.setdefault(f"{policy.name}/{budget.id}", []).append(f"{policy.name}/{budget.id}")
    return owners


def _unknown_budgets(
    analysis: Analysis, documents: Iterable[LinkedDocument[Document]], owners: Mapping[str, list[str]]
) -> Iterator[Diagnostic]:
    for document in documents:
        for path, expression in analysis.expressions[document].items():
            for name, extent in budget_reads(expression):
                if len(owners.get(name, ())) != 1:
                    yield _wrong_budget(_span(document, path, extent), name, owners)


def _wrong_budget(span: Span, name: str, owners: Mapping[str, list[str]]) -> Diagnostic:
    if several := owners.get(name):
        message, label = f"several policies have a budget `{name}`", "which one?"
        advice = f"write {listed(several, 'or')}"
    else:
        message, label = f"no policy of the set has a budget `{name}`", "unknown budget"
        known = [item for item in owners if "/" not in item]
        advice = did_you_mean(name, owners) or (
            f"the budgets are {listed(known)}" if known else "the set has no budgets"
        )
    return Diagnostic("CL209", Severity.ERROR, message, span, label, advice)


def _span(document: LinkedDocument[Document], path: Path, extent: Extent) -> Span:
    value = document.located.root.find(path)
    assert value is not None
    return part_span(document.located.source, value, extent.start, extent.end)
