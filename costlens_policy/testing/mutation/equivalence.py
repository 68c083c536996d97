"""Which mutants decide every request as the policy set does, by the exact procedure of ``assurance``.

A mutant is *equivalent* where none of the conditions that it changes comes out otherwise, true, false or an error, for
a request that reaches its rule; or where its rule matches no request at all. Each of that is a proof: what was only
searched leaves a mutant undecided, and undecided mutants count as survivors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import takewhile
from typing import Final

from costlens_policy.assurance import Every, Found, Goal, Not, Nothing, Result, Rule, Some, Subject, Undecided
from costlens_policy.assurance.subject import Step
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.expressions import limits_of, variables_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.documents import Document, PolicyDocument
from costlens_policy.expressions import BOOL, TypedExpr, analyze
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path
from costlens_policy.testing.mutation.mutant import Mutant, MutantKind

__all__ = ["Change", "Equivalence", "rule_in"]

_SECTIONS: Final = ("access", "routes", "rewrites", "budgets")
_FORECASTS: Final = re.compile(r"used_per_day|projected_ratio|exhausted_in")


@frozen
class Change:
    """A condition of a rule, before and after; None always holds."""

    rule: Rule
    before: Formula | None
    after: Formula | None


class Equivalence:
    """Decides for mutants of one policy set whether they are equivalent. Register all of a group before the first."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._apart: dict[int, Result] = {}
        self._kept: list[object] = []  # conditions are known by their identities, which must not be given away
        self._documents: tuple[LinkedDocument[Document], ...] = (subject.bundle.linked.policy_set, *subject.policies)

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        every = (rule for section in _SECTIONS for rule in self.subject.rules[section])
        return {rule.id: rule for rule in (*every, self.subject.default)}

    def changes(self, mutant: Mutant, plan: Plan) -> tuple[Change, ...]:
        """Return the conditions that a mutant changes, none where it changes something else."""
        self._kept.append(plan)
        if mutant.path[2:] == ("when",):
            rule = self.rules[mutant.rule]
            changes: tuple[Change, ...] = (Change(rule, rule.when, rule_in(plan, mutant).when),)
        else:
            changes = tuple(self._through(mutant, plan)) if mutant.path[0] == "variables" else ()
        self._kept.append(changes)
        return changes

    def proof(self, mutant: Mutant, plan: Plan, changes: Sequence[Change]) -> str:
        """Return why a mutant is equivalent, empty where that is not proved."""
        if mutant.path[0] == "on_error":
            return self._never_fails(mutant)
        if mutant.path == ("defaults", "access"):
            return self._always_decided()
        if mutant.path[0] == "variables":
            return self._same_variable(mutant, plan, changes)
        if mutant.path[0] not in _SECTIONS:
            return ""
        rule = self.rules[mutant.rule]
        reach = self.reach(rule)
        holds = self.subject.condition(rule.when, rule.layer, True)
        if self._is_nothing([reach, holds]) and not (changes or mutant.rule in self._budgets_read):
            return "the rule matches no request"
        if changes:
            return "the conditions agree on every request" * self._agree(changes)
        if mutant.kind is MutantKind.ORDER and mutant.path[2:] == ("id",):
            return "no request matches both rules" * self._is_nothing(self._both(rule, True))
        return ""

    def matching_both(self, mutant: Mutant) -> Iterator[Goal]:
        """Yield the goals that a request matches both rules that change places, and that one of them may fail."""
        if mutant.kind is MutantKind.ORDER and mutant.path[2:] == ("id",):
            rule = self.rules[mutant.rule]
            yield from (Every(self._both(rule, error)) for error in (False, True))

    def _both(self, rule: Rule, error: bool) -> list[Goal]:
        holds = (self.subject.condition(item.when, item.layer, error) for item in (rule, self._following(rule)))
        return [self.reach(rule), *holds]

    def is_untestable(self, mutant: Mutant) -> bool:
        """Return whether no case can notice a mutant: windows are the ledger's, unless rules read forecasts."""
        return mutant.kind is MutantKind.WINDOW and self._only_calendar(mutant) and not self._reads_forecasts

    def apart(self, change: Change) -> list[Goal]:
        """Return the goals that a request reaches a rule, and that its condition comes out otherwise."""
        layer, condition = change.rule.layer, self.subject.condition
        differ: list[Goal] = []
        for error in (False, True):
            before, after = condition(change.before, layer, error), condition(change.after, layer, error)
            differ += [Every([before, Not(after)]), Every([Not(before), after])]
        return [self.reach(change.rule), Some(differ)]

    def reach(self, rule: Rule) -> Goal:
        """Return the goal that a request comes to a rule, whether or not it matches. It may be met by more."""
        subject, section = self.subject, rule.place.path[0]
        if section == "access":
            return Every(())
        if section in ("routes", "defaults"):
            earlier = takewhile(lambda other: other is not rule, subject.rules["routes"])
            return Every([*(other.otherwise for other in earlier if not other.passes_on), subject.admitted])
        return subject.admitted

    def difference(self, change: Change) -> Result:
        """Return values for which a condition comes out otherwise, the proof that there are none, or neither."""
        if id(change) not in self._apart:
            self._apart[id(change)] = self.subject.find(Every(self.apart(change)))
        return self._apart[id(change)]

    def _agree(self, changes: Sequence[Change]) -> bool:
        return all(isinstance(self.difference(change), Nothing) for change in changes)

    def _is_nothing(self, goals: Sequence[Goal]) -> bool:
        return isinstance(self.subject.find(Every(goals)), Nothing)

    def doubt(self, mutant: Mutant, changes: Sequence[Change]) -> str:
        """Return why nothing was found on which a mutant differs, empty where no reason is known."""
        for result in map(self.difference, changes):
            if isinstance(result, Undecided):
                return f"whether the conditions are the same is not decided: {result.why}"
            if isinstance(result, Found) and (witness := self.subject.situated(result.values)) is not None:
                return f"the conditions differ on {witness}, where the same is decided"
        if mutant.path[0] == "on_error":
            return self._may_fail(mutant)
        rule = self.rules.get(mutant.rule)
        matched = Nothing() if rule is None else self.subject.find(Every([self.reach(rule), rule.goal]))
        why = matched.why if isinstance(matched, Undecided) else ""
        return why and f"whether a request matches the rule is not decided: {why}"

    # Variables: what reads one is read with the text of the variable in its place.

    def _through(self, mutant: Mutant, plan: Plan) -> Iterator[Change]:
        document = self._documents[mutant.document]
        name = str(mutant.path[1])
        after = self._variables(plan, mutant)[name]
        texts = {**variables_of(document.document), name: after.source}
        for rule in self.rules.values():
            if rule.when is not None and mutant.document in (0, rule.layer + 1):
                text = _inlined(rule.when.source, name, texts)
                if text != rule.when.source and (typed := self._typed(text, rule.when)) is not None:
                    yield Change(rule, rule.when, replace(rule.when, source=text, typed=typed))

    def _same_variable(self, mutant: Mutant, plan: Plan, changes: Sequence[Change]) -> str:
        name, layer = str(mutant.path[1]), max(mutant.document - 1, 0)
        before = self._variables(self.subject.plan, mutant)[name]
        after = self._variables(plan, mutant)[name]
        if before.typed.type == BOOL and self.subject.plan.layers:
            differ: list[Goal] = []
            for error in (False, True):
                one, other = (self.subject.condition(item, layer, error) for item in (before, after))
                differ += [Every([one, Not(other)]), Every([Not(one), other])]
            if self._is_nothing([Some(differ)]):
                return "the variables agree on every request"
        if self._readers(mutant, name) != {
            (item.rule.place.document, (*item.rule.place.path, "when")) for item in changes
        }:
            return ""
        return "the conditions agree on every request" * self._agree(changes)

    def _readers(self, mutant: Mutant, name: str) -> set[tuple[LinkedDocument[Document], Path]]:
        """Return the expressions that read a variable, perhaps by other variables, with their places."""
        found = set()
        for index, document in enumerate(self._documents):
            if mutant.document in (0, index):
                texts = variables_of(document.document)
                for path, typed in self.subject.bundle.expressions[document].items():
                    if path[0] != "variables" and _inlined(typed.source, name, {**texts, name: "x"}) != typed.source:
                        found.add((document, path))
        return found

    def _variables(self, plan: Plan, mutant: Mutant) -> Mapping[str, Formula]:
        return plan.layers[mutant.document - 1].variables if mutant.document else plan.variables

    def _typed(self, text: str, like: Formula) -> TypedExpr | None:
        limits = limits_of(self.subject.bundle.linked.policy_set.document.limits)
        return analyze(text, like.typed.environment, BOOL, limits).typed

    # Everything else

    def _never_fails(self, mutant: Mutant) -> str:
        """Return why ``on_error`` of a policy makes no difference: none of its conditions can fail."""
        policy, layer = self._documents[mutant.document].document, mutant.document - 1
        assert isinstance(policy, PolicyDocument)
        operations = [*(item for rule in policy.rewrites for item in rule.apply)]
        operations += (item for route in policy.routes for item in route.apply)
        if not all(operation.facts.refuses for operation in operations):
            return ""  # others may fail, too, and then decide
        for rule in self.rules.values():
            if rule.layer == layer and rule.when is not None:
                holds, fails_or_holds = (self.subject.condition(rule.when, layer, error) for error in (False, True))
                if not self._is_nothing([self.reach(rule), fails_or_holds, Not(holds)]):
                    return ""
        return "no condition of the policy can fail"

    def _may_fail(self, mutant: Mutant) -> str:
        """Return why it is not known whether a condition of a policy can fail, empty where it is known."""
        results = map(self.subject.find, self.failing(mutant))
        why = next((result.why for result in results if isinstance(result, Undecided)), "")
        return why and f"whether a condition of the policy can fail is not decided: {why}"

    def failing(self, mutant: Mutant) -> Iterator[Goal]:
        """Yield the goals that a request comes to a rule of a policy whose `on_error` is changed, and that it fails."""
        for rule in self.rules.values():
            if mutant.path[0] == "on_error" and rule.layer == mutant.document - 1 and rule.when is not None:
                holds, fails_or_holds = (self.subject.condition(rule.when, rule.layer, on) for on in (False, True))
                yield Every([self.reach(rule), fails_or_holds, Not(holds)])

    def _always_decided(self) -> str:
        """Return why the default of access makes no difference: some rule holds for every request."""
        rules = [rule for rule in self.subject.rules["access"] if not getattr(rule.step, "by_model", True)]
        none = [Not(self.subject.condition(rule.when, rule.layer)) for rule in rules]
        return "an access rule holds for every request" * self._is_nothing(none)

    @cached_property
    def _budgets_read(self) -> frozenset[str]:
        """The budgets: conditions may read one that no request counts against."""
        return frozenset(rule.id for rule in self.subject.rules["budgets"])

    def _following(self, rule: Rule) -> Rule:
        section, index = rule.place.path
        after = (section, int(index) + 1)
        return next(
            other
            for other in self.subject.rules[str(section)]
            if other.layer == rule.layer and other.place.path == after
        )

    @cached_property
    def _reads_forecasts(self) -> bool:
        every = (typed for of in self.subject.bundle.expressions.values() for typed in of.values())
        return any(_FORECASTS.search(typed.source) for typed in every)

    def _only_calendar(self, mutant: Mutant) -> bool:
        return mutant.path[-1] in ("calendar", "zone", "rolling", "from_first_use")


def rule_in(plan: Plan, mutant: Mutant) -> Step:
    """Return the step of a plan that a mutant changes, by its place."""
    section, index = mutant.path[:2]
    return getattr(plan.layers[mutant.document - 1], str(section))[index]  # type: ignore[no-any-return]


def _inlined(text: str, name: str, texts: Mapping[str, str], depth: int = 20) -> str:
    """Return an expression with a variable replaced by its text, also where other variables read it."""
    if not depth:
        return text

    def replaced(found: re.Match[str]) -> str:
        other = found[1]
        if other == name:
            return f"({texts[name]})"
        inner = texts.get(other, "")
        deeper = _inlined(inner, name, texts, depth - 1)
        return found[0] if deeper == inner else f"({deeper})"

    return re.sub(r"\bvariables\.(\w+)", replaced, text)
