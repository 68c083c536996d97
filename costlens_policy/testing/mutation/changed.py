"""From a mutant to a plan: its text is read again, and what did not change is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from costlens_policy.checker.bundle import CheckedBundle, LinkedDocument
from costlens_policy.checker.expressions import limits_of
from costlens_policy.checker.overflows import check_overflows
from costlens_policy.checker.reads import ExpressionField, expressions_of
from costlens_policy.compiler.compile import recompile_plan
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.documents import Document, PolicyDocument, PolicySetDocument
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions import BOOL, DOUBLE, DYN, INT, STRING, UINT, Environment, TypedExpr, analyze
from costlens_policy.schema.read import build
from costlens_policy.schema.windows import with_windows_apart
from costlens_policy.source.compose import compose
from costlens_policy.source.located import Path
from costlens_policy.source.read import source_of
from costlens_policy.testing.mutation.mutant import Mutant, edited
from costlens_policy.testing.policy_sets import formulas_in

__all__ = ["InvalidMutantError", "Workshop"]

_EXPECTED = {"bool": BOOL, "string": STRING}
_NUMBERS = (INT, DOUBLE, UINT, DYN)


class InvalidMutantError(CostlensPolicyError):
    """A mutant is not a policy set that could be loaded; the message says why."""


class Workshop:
    """Makes the plans of the mutants of one policy set."""

    def __init__(self, bundle: CheckedBundle, plan: Plan) -> None:
        self._bundle = bundle
        self._plan = plan
        self._limits = limits_of(bundle.linked.policy_set.document.limits)
        self.documents: tuple[LinkedDocument[Document], ...] = (bundle.linked.policy_set, *bundle.linked.policies)
        self._made: dict[int, Formula] = {}
        for formula in formulas_in((plan.variables, plan.layers, plan.defaults.route)):
            self._made.setdefault(id(formula.typed), formula)
        self._typed: dict[int, dict[tuple[str, int], TypedExpr]] = {}
        self._environments: dict[int, dict[tuple[str, ...], Environment]] = {}

    def text_of(self, mutant: Mutant) -> str:
        """Return the changed text of the file that a mutant changes."""
        return edited(self.documents[mutant.document].located.source.text, mutant.edits)

    def plan_of(self, mutant: Mutant) -> Plan:
        """Return the plan of a mutant. Raises ``InvalidMutantError``."""
        before = self.documents[mutant.document]
        after = self._read(before, self.text_of(mutant))
        expressions = self._expressions(mutant.document, before, after)
        linked = self._bundle.linked
        if mutant.document:
            policies = tuple(after if policy is before else policy for policy in linked.policies)
            linked = replace(linked, policies=policies)  # type: ignore[arg-type]  # a policy stays a policy
        else:
            linked = replace(linked, policy_set=after)  # type: ignore[arg-type]
        if mutant.path[0] == "budgets":
            for problem in check_overflows(linked):  # such as one whose budget is gone
                raise InvalidMutantError(problem.message)
        typed = {after if document is before else document: of for document, of in self._bundle.expressions.items()}
        bundle = CheckedBundle(linked, {**typed, after: expressions}, ())
        return recompile_plan(self._plan, bundle, after, self._made)

    def _read(self, before: LinkedDocument[Document], text: str) -> LinkedDocument[Document]:
        composed = compose(source_of(text, before.located.source.name))
        for located in map(with_windows_apart, composed.documents):
            name = located.root.find(("metadata", "name"))
            kind = located.root.find(("kind",))
            if name is None or kind is None or name.content != before.name or kind.content != before.document.kind:  # type: ignore[attr-defined]
                continue
            document, problems = build(str(kind.content), located, located.root.to_plain())
            if isinstance(document, PolicyDocument | PolicySetDocument):
                return LinkedDocument(located, document)
            raise InvalidMutantError(problems[0].message)
        raise InvalidMutantError(next((item.message for item in composed.diagnostics), "the document is gone"))

    def _expressions(
        self, index: int, before: LinkedDocument[Document], after: LinkedDocument[Document]
    ) -> Mapping[Path, TypedExpr]:
        """Return the typed expressions of a changed document: those of before where the texts are the same."""
        known, environments = self._known(index, before)
        found: dict[Path, TypedExpr] = {}
        for field in expressions_of(after.document):
            typed = known.get((field.text, id(field.rule)))
            found[field.path] = self._analyzed(field, environments[field.rule.roots]) if typed is None else typed
        self._same_variables(before, found)
        return found

    def _known(
        self, index: int, document: LinkedDocument[Document]
    ) -> tuple[dict[tuple[str, int], TypedExpr], dict[tuple[str, ...], Environment]]:
        if index not in self._typed:
            typed, environments = {}, {}
            for field in expressions_of(document.document):
                expression = self._bundle.expressions[document][field.path]
                typed[field.text, id(field.rule)] = expression
                environments[field.rule.roots] = expression.environment
            self._typed[index], self._environments[index] = typed, environments
        return self._typed[index], self._environments[index]

    def _analyzed(self, field: ExpressionField, environment: Environment) -> TypedExpr:
        analyzed = analyze(field.text, environment, _EXPECTED.get(field.rule.result), self._limits)
        typed = analyzed.typed
        if typed is None:
            raise InvalidMutantError(analyzed.problems[0].message)
        if field.rule.result == "number" and typed.type not in _NUMBERS:
            raise InvalidMutantError("the expression must be a number")
        return typed

    def _same_variables(self, before: LinkedDocument[Document], found: Mapping[Path, TypedExpr]) -> None:
        """A variable of another type would change what reads it, which was typed before."""
        for path, typed in self._bundle.expressions[before].items():
            if path[0] == "variables" and path in found and found[path].type != typed.type:
                raise InvalidMutantError("the variable has another type")
