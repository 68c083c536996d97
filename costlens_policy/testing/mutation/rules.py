"""The mutants of a policy set: those of its expressions, and changes of all else that a rule consists of.

Left alone is what decides nothing: ids, reasons, descriptions. What cannot be valid, such as a ratio above 1, is not
made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from costlens_policy.checker.bundle import CheckedBundle, LinkedDocument, inner_and_own
from costlens_policy.documents import Document, PolicyDocument, PolicySetDocument
from costlens_policy.documents.budget import Budget, Threshold
from costlens_policy.documents.document import Section
from costlens_policy.documents.policy import AccessRule, Limits, Target
from costlens_policy.documents.rewrites import Operation
from costlens_policy.source.located import Path
from costlens_policy.testing.mutation.conditions import moved, mutants_of_expression
from costlens_policy.testing.mutation.mutant import Edit, Mutant, MutantKind
from costlens_policy.testing.mutation.pen import Pen

__all__ = ["mutants_of"]

_SECTIONS: Final = ("access", "routes", "rewrites", "budgets")
_ORDERED: Final = ("routes", "rewrites")
"""Sections in which the order of neighbors decides: all rules of the others are asked."""
_CALENDAR: Final = ("day", "week", "month", "quarter", "year")


def mutants_of(bundle: CheckedBundle) -> Iterator[Mutant]:
    """Yield the mutants of a policy set, document by document and rule by rule, always in the same order."""
    linked = bundle.linked
    models = tuple(model.name for model in linked.catalogue)
    yield from _OfSet(bundle, 0, linked.policy_set, models).mutants()
    for index, policy in enumerate(linked.policies, 1):
        yield from _OfPolicy(bundle, index, policy, models).mutants()


class _Maker:
    """Makes the mutants of one document. ``rule`` is the one whose mutants are being made."""

    def __init__(
        self, bundle: CheckedBundle, index: int, document: LinkedDocument[Document], models: Sequence[str]
    ) -> None:
        self._typed = bundle.expressions[document]
        self._index = index
        self._root = document.located.root
        self._pen = Pen(document.located)
        self._models = models
        self._rule = "default"

    def _mutant(self, kind: MutantKind, what: str, at: Path, edits: tuple[Edit, ...]) -> Mutant:
        value = self._root.find(at)
        scalar = value is not None and value.kind == "scalar"
        span = self._root.span_of(at if scalar else (*at, ""))
        return Mutant(self._rule, kind, what, self._index, edits, span, at)

    def _expression(self, at: Path) -> Iterator[Mutant]:
        typed = self._typed.get(at)
        for item in mutants_of_expression(typed) if typed is not None else ():
            yield self._mutant(item.kind, item.what, at, self._pen.text(at, item.edits))

    def _dropped(self, kind: MutantKind, what: str, at: Path) -> Mutant:
        return self._mutant(kind, what, at, self._pen.dropped(at))

    def _numbers(self, kind: MutantKind, at: Path, *, least: int = 0, most: int | None = None) -> Iterator[Mutant]:
        """Yield a number moved by one unit of its last digit, both ways."""
        written = self._pen.written(at)
        for step in (1, -1):
            other = moved(written, step)
            if other is not None and Decimal(other) >= least and (most is None or Decimal(other) <= most):
                what = f"`{_name(at)}: {written}` becomes `{other}`"
                yield self._mutant(kind, what, at, self._pen.number(at, other))

    def _changed(self, kind: MutantKind, at: Path, other: str) -> Mutant:
        what = f"`{_name(at)}: {self._pen.written(at)}` becomes `{other}`"
        return self._mutant(kind, what, at, self._pen.number(at, other))

    def _listed(self, kind: MutantKind, at: Path, values: Sequence[str], *, ordered: bool) -> Iterator[Mutant]:
        """Yield a list without one of its elements each, and in another order. A single element stays."""
        if len(values) > 1:
            for index, value in enumerate(values):
                yield self._dropped(kind, f"`{value}` is dropped from `{_name(at)}`", (*at, index))
        if ordered:
            for index in range(len(values) - 1):
                what = f"`{values[index]}` and `{values[index + 1]}` change places in `{_name(at)}`"
                edits = self._pen.swapped((*at, index), (*at, index + 1))
                yield self._mutant(MutantKind.ORDER, what, (*at, index), edits)

    def _target(self, target: Target, at: Path) -> Iterator[Mutant]:
        for path, inner in inner_and_own(target, at):
            yield from self._own(inner, path)

    def _own(self, target: Target, at: Path) -> Iterator[Mutant]:
        if target.model is not None:
            other = self._other_model((target.model, *target.fallbacks))
            if other:
                yield self._changed(MutantKind.MODEL, (*at, "model"), other)
        yield from self._listed(MutantKind.MODEL, (*at, "models"), target.models, ordered=True)
        yield from self._expression((*at, "model_from"))
        if target.choose is not None:
            yield from self._choice(target, (*at, "choose"))
        if target.split is not None:
            yield from self._split(target, (*at, "split"))
        if target.fallbacks:
            what = "the fallbacks are dropped"
            yield self._dropped(MutantKind.MODEL, what, (*at, "fallbacks"))
        yield from self._listed(MutantKind.MODEL, (*at, "fallbacks"), target.fallbacks, ordered=True)
        yield from self._operations(target.apply, (*at, "apply"))
        for index, waived in enumerate(target.waive_terms_for):
            what = f"the terms hold for {waived}"
            yield self._dropped(MutantKind.CHOICE, what, (*at, "waive_terms_for", index))

    def _other_model(self, named: Sequence[str]) -> str | None:
        """Return a model of the catalogue in place of the first of some, the next by its order there."""
        start = self._models.index(named[0]) + 1 if named[0] in self._models else 0
        ahead = (*self._models[start:], *self._models[:start])
        return next((name for name in ahead if name not in named), None)

    def _choice(self, target: Target, at: Path) -> Iterator[Mutant]:
        choice = target.choose
        assert choice is not None
        for key, other in (("minimize", "maximize"), ("maximize", "minimize")):
            if getattr(choice, key) is not None:
                edits = self._pen.renamed((*at, key), other)
                yield self._mutant(MutantKind.CHOICE, f"`{key}` becomes `{other}`", (*at, key), edits)
                yield from self._expression((*at, key))
        if choice.among is not None:
            yield self._dropped(MutantKind.CHOICE, "`among` is dropped", (*at, "among"))
            yield from self._expression((*at, "among"))
        yield from self._listed(MutantKind.MODEL, (*at, "models"), choice.models, ordered=False)
        for name in Limits.model_fields:
            if self._pen.has((*at, "limits", name)):
                yield from self._limit_of_choice(choice.limits, name, (*at, "limits", name))
        if choice.within is not None:
            yield self._dropped(MutantKind.LIMIT, "`within` is dropped", (*at, "within"))
            yield from self._numbers(MutantKind.LIMIT, (*at, "within", "quality"), most=1)
        if choice.quality != "value":
            yield self._dropped(MutantKind.CHOICE, f"`quality: {choice.quality}` is dropped", (*at, "quality"))
        if self._pen.has((*at, "on_none")) and choice.on_none != "refuse":
            yield self._dropped(MutantKind.CHOICE, "the way out `on_none` is dropped", (*at, "on_none"))

    def _limit_of_choice(self, limits: Limits, name: str, at: Path) -> Iterator[Mutant]:
        yield self._dropped(MutantKind.LIMIT, f"`{name}` is dropped", at)
        if name == "requires":
            yield from self._listed(MutantKind.LIMIT, at, limits.requires, ordered=False)
        else:
            yield from self._numbers(MutantKind.LIMIT, at, most=1 if name == "min_quality" else None)

    def _split(self, target: Target, at: Path) -> Iterator[Mutant]:
        split = target.split
        assert split is not None
        yield from self._expression((*at, "key"))
        shares = split.targets
        for index, share in enumerate(shares):
            name, place = share.name_at(index), (*at, "targets", index, "weight")
            if share.weight:
                what = f"the share `{name}` gets no key"
                yield self._mutant(MutantKind.SHARE, what, place, self._pen.number(place, "0"))
            if index and share.weight != shares[index - 1].weight:
                before: Path = (*at, "targets", index - 1, "weight")
                what = f"the shares `{shares[index - 1].name_at(index - 1)}` and `{name}` change their weights"
                yield self._mutant(MutantKind.SHARE, what, place, self._pen.swapped(before, place))

    def _operations(self, operations: Sequence[Operation], at: Path) -> Iterator[Mutant]:
        for index, operation in enumerate(operations):
            path: Path = (*at, index)
            if len(operations) > 1 or at[-1] != "apply" or at[0] != "rewrites":  # else it is the rule that is removed
                yield self._dropped(MutantKind.REWRITE, f"`{operation.name}` is dropped", path)
            yield from self._section(operation.section, (*path, operation.name))

    def _section(self, section: Any, at: Path) -> Iterator[Mutant]:
        """Yield the changes of what an operation is given: its numbers, texts, flags and lists."""
        if isinstance(section, Section):
            entries: dict[str, Any] = {name: getattr(section, name) for name in section.model_fields_set}
        else:
            value = section.root if hasattr(section, "root") else section
            if not isinstance(value, dict):
                if isinstance(value, list | tuple):
                    yield from self._listed(MutantKind.REWRITE, at, tuple(map(str, value)), ordered=False)
                return
            entries = value
        for name, value in entries.items():
            if self._pen.has((*at, name)):
                yield from self._value(value, (*at, name))
        if len(entries) > 1 and not isinstance(section, Section):
            for name in entries:
                yield self._dropped(MutantKind.REWRITE, f"`{name}` is dropped", (*at, name))

    def _value(self, value: Any, at: Path) -> Iterator[Mutant]:
        if isinstance(value, bool):
            yield self._changed(MutantKind.REWRITE, at, str(not value).lower())
        elif isinstance(value, int | Decimal):
            yield from self._numbers(MutantKind.REWRITE, at)
        elif isinstance(value, str) and at in self._typed:
            yield from self._expression(at)
        elif isinstance(value, str) and at[-1] in ("text", "marker"):
            what = f"`{_name(at)}` is another text"
            yield self._mutant(MutantKind.REWRITE, what, at, self._pen.text(at, [Edit(0, len(value), "mutant")]))
        elif isinstance(value, Section | dict | list | tuple):
            yield from self._section(value, at)


class _OfSet(_Maker):
    """The mutants of the policy set itself: what holds where no rule matches, and variables."""

    def __init__(
        self, bundle: CheckedBundle, index: int, document: LinkedDocument[PolicySetDocument], models: Sequence[str]
    ) -> None:
        super().__init__(bundle, index, document, models)
        self._document = document.document

    def mutants(self) -> Iterator[Mutant]:
        defaults = self._document.defaults
        at: Path = ("defaults", "access")
        yield self._changed(MutantKind.OUTCOME, at, "deny" if defaults.access == "allow" else "allow")
        yield from self._target(defaults.route, ("defaults", "route"))
        yield from self._numbers(MutantKind.LIMIT, ("defaults", "max_output_tokens"), least=1)
        if self._pen.has(("defaults", "max_fallbacks")):
            yield from self._numbers(MutantKind.LIMIT, ("defaults", "max_fallbacks"), most=20)
        for name in self._document.variables:
            self._rule = f"variables.{name}"
            yield from self._expression(("variables", name))


class _OfPolicy(_Maker):
    """The mutants of one policy."""

    def __init__(
        self, bundle: CheckedBundle, index: int, document: LinkedDocument[PolicyDocument], models: Sequence[str]
    ) -> None:
        super().__init__(bundle, index, document, models)
        self._document = document.document
        self._name = document.name

    def mutants(self) -> Iterator[Mutant]:
        policy = self._document
        if policy.on_error is not None:
            self._rule = f"{self._name}/on_error"
            yield self._changed(MutantKind.ERRORS, ("on_error",), "skip" if policy.on_error == "deny" else "deny")
        for name in policy.variables:
            self._rule = f"{self._name}/variables.{name}"
            yield from self._expression(("variables", name))
        for section in _SECTIONS:
            rules = getattr(policy, section)
            for index, rule in enumerate(rules):
                self._rule = f"{self._name}/{rule.id}"
                yield from self._of_rule(section, rule, (section, index))
                if section in _ORDERED and index + 1 < len(rules):
                    what = f"`{rule.id}` and `{rules[index + 1].id}` change places"
                    edits = self._pen.swapped((section, index), (section, index + 1))
                    yield self._mutant(MutantKind.ORDER, what, (section, index, "id"), edits)

    def _of_rule(self, section: str, rule: Any, at: Path) -> Iterator[Mutant]:
        yield self._dropped(MutantKind.RULE, "the rule is removed", at)
        if rule.when is not None:
            yield self._dropped(MutantKind.CONDITION, "the condition is dropped", (*at, "when"))
            yield from self._expression((*at, "when"))
        if section == "access":
            yield from self._access(rule, at)
        elif section == "routes":
            yield from self._target(rule, at)
        elif section == "rewrites":
            yield from self._operations(rule.apply, (*at, "apply"))
            if rule.merge is not None:
                yield self._dropped(MutantKind.REWRITE, "`merge` is dropped", (*at, "merge"))
        else:
            yield from self._budget(rule, at)

    def _access(self, rule: AccessRule, at: Path) -> Iterator[Mutant]:
        if rule.effect is not None:
            yield self._changed(MutantKind.OUTCOME, (*at, "effect"), "deny" if rule.effect == "allow" else "allow")
        yield from self._expression((*at, "only"))
        yield from self._listed(MutantKind.MODEL, (*at, "only_models"), rule.only_models, ordered=False)

    def _budget(self, budget: Budget, at: Path) -> Iterator[Mutant]:
        if budget.scope is not None:
            yield self._dropped(MutantKind.SCOPE, "`scope` is dropped", (*at, "scope"))
            yield from self._expression((*at, "scope"))
        for name in ("hard_limit_usd", "hard_limit_tokens", "hard_limit_requests", "hard_limit_runs"):
            value = getattr(budget, name)
            if isinstance(value, str):
                yield from self._expression((*at, name))
            elif value is not None:
                yield from self._numbers(MutantKind.LIMIT, (*at, name))
        for name in ("soft_limit_usd", "soft_limit_tokens", "soft_limit_requests"):
            if getattr(budget, name) is not None:
                yield self._dropped(MutantKind.THRESHOLD, f"`{name}` is dropped", (*at, name))
                yield from self._numbers(MutantKind.THRESHOLD, (*at, name))
        for kind in budget.count or ():
            yield from self._numbers(MutantKind.LIMIT, (*at, "count", kind))
        if budget.overflow is not None:
            yield self._dropped(MutantKind.LIMIT, "`overflow` is dropped", (*at, "overflow"))
        if budget.carry_over is not None:
            yield self._dropped(MutantKind.LIMIT, "`carry_over` is dropped", (*at, "carry_over"))
        if self._pen.has((*at, "shadow")):
            yield self._changed(MutantKind.LIMIT, (*at, "shadow"), str(not budget.shadow).lower())
        yield from self._window(budget.window.model_dump(), (*at, "window"))
        for index, threshold in enumerate(budget.thresholds):
            yield from self._threshold(threshold, (*at, "thresholds", index))

    def _window(self, window: dict[str, Any], at: Path) -> Iterator[Mutant]:
        if "calendar" in window:
            after = _CALENDAR[(_CALENDAR.index(window["calendar"]) + 1) % len(_CALENDAR)]
            yield self._changed(MutantKind.WINDOW, (*at, "calendar"), after)
            if self._pen.has((*at, "zone")):
                yield self._dropped(MutantKind.WINDOW, "`zone` is dropped", (*at, "zone"))
        elif "per_call" in window:
            edits = self._pen.renamed((*at, "per_call"), "lifetime")
            yield self._mutant(MutantKind.WINDOW, "`per_call` becomes `lifetime`", (*at, "per_call"), edits)
        elif "lifetime" in window:
            edits = self._pen.renamed((*at, "lifetime"), "per_call")
            yield self._mutant(MutantKind.WINDOW, "`lifetime` becomes `per_call`", (*at, "lifetime"), edits)
        elif "rolling" in window:
            yield self._changed(MutantKind.WINDOW, (*at, "rolling"), "1s")
        elif "from_first_use" in window:
            yield self._changed(MutantKind.WINDOW, (*at, "from_first_use"), "1s")

    def _threshold(self, threshold: Threshold, at: Path) -> Iterator[Mutant]:
        yield self._dropped(MutantKind.THRESHOLD, f"the threshold at {threshold.name} is removed", at)
        if threshold.at_burn_rate is not None:
            yield from self._numbers(MutantKind.THRESHOLD, (*at, "at_burn_rate", "rate"))
        elif threshold.at_exhausted_in is None:
            most = 1 if threshold.at_ratio is not None else None
            yield from self._numbers(MutantKind.THRESHOLD, (*at, threshold.condition), most=most)
        if threshold.needs_approval is not None and (threshold.alert or threshold.rewrite):
            yield self._dropped(MutantKind.THRESHOLD, "`needs_approval` is dropped", (*at, "needs_approval"))
        if threshold.alert is not None and (threshold.rewrite or threshold.downgrade or threshold.needs_approval):
            yield self._dropped(MutantKind.THRESHOLD, "`alert` is dropped", (*at, "alert"))
        yield from self._operations(threshold.rewrite, (*at, "rewrite"))
        downgrade, place = threshold.downgrade, (*at, "downgrade")
        if downgrade is None:
            return
        if threshold.alert is not None or threshold.rewrite:
            yield self._dropped(MutantKind.THRESHOLD, "`downgrade` is dropped", place)
        if downgrade.exclude is not None:
            yield self._dropped(MutantKind.THRESHOLD, "`exclude` is dropped", (*place, "exclude"))
            yield from self._expression((*place, "exclude"))
        if downgrade.models:
            yield self._dropped(MutantKind.MODEL, "`models` is dropped", (*place, "models"))
        yield from self._listed(MutantKind.MODEL, (*place, "models"), downgrade.models, ordered=True)


def _name(at: Path) -> str:
    """Return the key of a value, or of the list that it is in."""
    return next(str(step) for step in reversed(at) if isinstance(step, str))
