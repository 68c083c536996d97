"""What a decision depends on: the attributes that its rules read, as columns to group the rows of a batch by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date
from typing import Any, Final, TypeAlias

import polars as pl

from costlens_policy.checker.attributes import ASKED_MODEL, STANDARD_ATTRIBUTES
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import ByChoice, BySplit
from costlens_policy.engine.routes import split_position
from costlens_policy.expressions import DOUBLE, INT, STRING
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Name, Presence, Select
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE, DAY
from costlens_policy.replay.verdicts import parts
from costlens_policy.runs import RUN

__all__ = ["PROMPT", "Reads", "Shares", "keys_of", "price_changes", "reads_of_budgets", "reads_of_rules"]

PROMPT: Final = "prompt_tokens"
_ASKED: Final = "model"
_EQUATED: Final = frozenset({"_==_", "_!=_", "@in"})
_COMPARED: Final = _EQUATED | {"_<_", "_<=_", "_>_", "_>=_"}
Shares: TypeAlias = tuple[str, tuple[int, ...]]
"""The salt of a split, and the bounds of its shares."""
_WEIGHED: Final = frozenset(item.name for item in STANDARD_ATTRIBUTES.values() if item.engine_reads) - {PROMPT}
"""What the engine itself looks at, whether rules do or not."""


@frozen
class Reads:
    """What distinguishes decisions.

    ``shared`` is false where nothing less than the whole request does. ``exact`` are attributes by value, ``present``
    those of which only the presence counts. ``cuts`` are the values that numbers are compared with, ``texts`` those
    that texts are, and ``splits`` the salts and bounds of the shares that a text decides; those that each call draws by
    itself are ``drawn``. ``prompt_tokens`` is among ``exact`` or ``cuts``.
    """

    shared: bool
    exact: list[str]
    present: list[str]
    cuts: dict[str, tuple[int | float, ...]]
    texts: dict[str, tuple[str, ...]]
    splits: dict[str, tuple[Shares, ...]]
    drawn: tuple[Shares, ...] = ()


def reads_of_rules(plan: Plan, given: Iterable[str]) -> Reads:
    """Return what decides beside the budgets. ``given`` are the attributes that requests may have."""
    layers = [(layer.variables, layer.access, layer.routes, layer.rewrites) for layer in plan.layers]
    seen = _Seen()
    splits = list(parts((layers, plan.defaults), BySplit))
    keyed = {id(split.key): split for split in splits if split.key is not None}
    for formula in parts((plan.variables, layers, plan.defaults), Formula):
        seen.add(formula, keyed.get(id(formula)))
    if any(_weighs_more_than_cost(choice) for choice in parts((layers, plan.defaults), ByChoice)):
        seen.free.add(PROMPT)
    unread = {name for name in set(given) - seen.attributes - _WEIGHED if _takes_any_text(plan, name)}
    drawn = {(split.salt, split.bounds) for split in splits if split.key is None}
    return replace(_reads(plan, seen, given, unread), drawn=tuple(sorted(drawn)))


def reads_of_budgets(plan: Plan, given: Iterable[str]) -> Reads:
    """Return what decides which budgets a request counts against, under which key, and up to which limit."""
    seen = _Seen()
    steps = [step for layer in plan.layers for step in layer.budgets]
    for formula in parts([(step.when, step.scope, step.limit) for step in steps], Formula):
        seen.add(formula)
    if "variables" in seen.roots:
        for formula in parts([plan.variables, *(layer.variables for layer in plan.layers)], Formula):
            seen.add(formula)
    known = [name for name in given if name in plan.attributes]
    reads = _reads(plan, seen, known, {name for name in known if name not in seen.attributes})
    return replace(reads, shared=reads.shared and "model" not in seen.roots)


def _reads(plan: Plan, seen: _Seen, given: Iterable[str], unread: set[str]) -> Reads:
    reads = Reads(not seen.whole and not seen.roots & {"now", "budgets"}, [], [], {}, {}, {})
    for name in dict.fromkeys((*given, PROMPT)):
        if name in unread and name != PROMPT:
            if name in plan.required:
                reads.present.append(name)
        elif name in seen.free or name in _WEIGHED:
            reads.exact.append(name)
        elif seen.only_compared(name, plan):
            reads.cuts[name] = tuple(sorted(seen.compared[name]))
        elif name in {*seen.texts, *seen.splits, *seen.present} and _takes_any_text(plan, name):
            reads.texts[name] = tuple(sorted(seen.texts[name]))
            reads.splits[name] = tuple(sorted(seen.splits[name]))
        else:
            reads.exact.append(name)
    return reads


def _weighs_more_than_cost(choice: ByChoice) -> bool:
    """Return whether a choice makes anything of the estimate but to rank by the cost alone."""
    score = choice.score
    if score is not None and isinstance(score.typed.root, Select):
        score = None if score.typed.references == {("estimate", "cost_usd")} else score
    formulas = [formula for formula in (score, choice.among) if formula is not None]
    return any(formula.reads("estimate") for formula in formulas)


def _takes_any_text(plan: Plan, name: str) -> bool:
    attribute = plan.attributes[name]
    return attribute.type == STRING and not attribute.values and attribute.max_size is None and name != RUN


@dataclass(slots=True)
class _Seen:
    """What the expressions read. ``free`` are attributes that are used otherwise than in a comparison."""

    whole: bool = False
    roots: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)
    present: set[str] = field(default_factory=set)
    compared: dict[str, set[int | float]] = field(default_factory=lambda: defaultdict(set))
    texts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    splits: dict[str, set[Shares]] = field(default_factory=lambda: defaultdict(set))

    def add(self, formula: Formula, split: BySplit | None = None) -> None:
        """Add an expression; with ``split``, one that is an attribute and nothing else, and decides a share."""
        for path in formula.typed.references:
            self.roots.add(path[0])
            if path[0] == "request":
                self.whole = self.whole or len(path) == 1
                self.attributes.update(path[1:2])
                if path[1:] == (ASKED_MODEL,):  # which follows from the name, and from the day, that always decides
                    self.attributes.add(_ASKED)
                    self.free.add(_ASKED)
        name = _attribute(formula.typed.root)
        if split is not None and name is not None:
            self.splits[name].add((split.salt, split.bounds))
        else:
            self._walk(formula.typed.root)

    def only_compared(self, name: str, plan: Plan) -> bool:
        """Return whether values matter only through comparisons with numbers of their own type."""
        if name == PROMPT and name not in self.attributes:
            return True
        kind = {INT: (int,), DOUBLE: (float, int)}.get(plan.attributes[name].type, ())
        found = self.compared.get(name)
        return bool(found) and all(type(item) in kind for item in found or ())

    def _compares(self, function: str, name: str | None, other: Any) -> bool:
        """Record what an attribute is compared with. Return whether the comparison depends on nothing else."""
        if name is None:
            return False
        numbers, texts = _constants(other, (int, float)), _constants(other, (str,))
        if numbers is not None:
            self.compared[name].update(numbers)
        elif texts is not None and function in _EQUATED:
            self.texts[name].update(texts)
        return numbers is not None or (texts is not None and function in _EQUATED)

    def _walk(self, node: Any) -> None:
        if isinstance(node, Call) and node.function in _COMPARED and node.target is None:
            for one, other in (node.arguments, node.arguments[::-1]):
                if self._compares(node.function, _attribute(one), other):
                    return
        if isinstance(node, Presence) and isinstance(node.operand, Name):
            self.present.add(node.field)
            return
        name = _attribute(node)
        if name is not None:
            self.free.add(name)
        for child in _children(node):
            self._walk(child)


def _attribute(node: Any) -> str | None:
    """Return the name of an attribute that is read as it is, or with a constant where it is absent."""
    if (
        isinstance(node, Call)
        and node.function == "orValue"
        and all(isinstance(item, Literal) for item in node.arguments)
    ):
        node = node.target
    plain = isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "request"
    return node.field if plain else None


def _constants(node: Any, types: tuple[type, ...] | None) -> tuple[Any, ...] | None:
    """Return the values of constants of some types, or of any; None where something else is among them."""
    items = node.elements if isinstance(node, ListLiteral) else node if isinstance(node, tuple) else (node,)
    literals = (item.value for item in items if isinstance(item, Literal))
    values = [value for value in literals if types is None or type(value) in types]
    return tuple(values) if len(values) == len(items) else None


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node):
        yield from (getattr(node, item.name) for item in fields(node))


_FIRST: Final = date(1970, 1, 1)


def price_changes(plan: Plan) -> pl.Series:
    """Return the days, by their numbers since 1970, from which a price holds or a model is deprecated or retired."""
    days = {period.effective for model in plan.catalogue for period in model.periods}
    days |= {day for model in plan.catalogue for day in (model.deprecated, model.retired)}
    return pl.Series(sorted((day - _FIRST).days for day in days if day is not None), dtype=pl.Int64)


def keys_of(frame: pl.DataFrame, reads: Reads, changes: pl.Series) -> pl.DataFrame:
    """Return what decides for each row, in columns. ``changes`` are the days on which the catalogue changes."""
    columns = [changes.search_sorted(frame["time"] // DAY, "right").alias("season")]
    for name in reads.exact:
        column = _column(frame, name)
        if column is not None:
            columns.append(column)
    for name in reads.present:
        column = _column(frame, name)
        if column is not None:
            columns.append(column.is_not_null().alias(f"has {name}"))
    for name, values in reads.texts.items():
        column = _column(frame, name)
        if column is not None:
            columns += _classes(column, name, values, reads.splits[name])
    for name, cuts in reads.cuts.items():
        column = _column(frame, name)
        if column is not None:
            columns.append(_stretches(column, cuts).alias(f"cut {name}"))
    if reads.drawn:
        columns += _shares(_call_keys(frame), "of the call", reads.drawn)
    return pl.DataFrame(columns)


def _classes(column: pl.Series, name: str, values: Sequence[str], splits: Sequence[Shares]) -> Iterator[pl.Series]:
    """Distinguish strings by presence, by the constants that they equal, and by the shares that they fall into."""
    yield column.is_not_null().alias(f"has {name}")
    if values:
        yield pl.select(pl.when(column.is_in(list(values))).then(column)).to_series().alias(f"text {name}")
    yield from _shares(column, name, splits)


def _shares(column: pl.Series, name: str, splits: Sequence[Shares]) -> Iterator[pl.Series]:
    """Return into which share of each split the keys fall."""
    distinct = column.drop_nulls().unique() if splits else column
    for place, (salt, bounds) in enumerate(splits):
        shares = pl.Series([split_position(key, salt, bounds) for key in distinct], dtype=pl.Int32)
        found = column.replace_strict(distinct, shares, default=None, return_dtype=pl.Int32)
        yield found.alias(f"share {place} {name}")


def _call_keys(frame: pl.DataFrame) -> pl.Series:
    """Return what tells each call apart: its id, else its time."""
    times, ids = frame["time"].cast(pl.String), _column(frame, "id")
    return times if ids is None else pl.select(pl.coalesce(ids, times)).to_series()


def _stretches(column: pl.Series, cuts: Sequence[int | float]) -> pl.Series:
    """Return which stretch between cuts each number lies in; a cut is a stretch of its own."""
    edges = pl.Series(cuts, dtype=column.dtype)
    below = edges.search_sorted(column, "left").cast(pl.Int32)
    up_to = edges.search_sorted(column, "right").cast(pl.Int32)
    return pl.select(pl.when(column.is_not_null()).then(below + up_to)).to_series()


def _column(frame: pl.DataFrame, name: str) -> pl.Series | None:
    if name == PROMPT:
        return frame["prompt"].alias(PROMPT)
    column = f"{ATTRIBUTE}{name}"
    return frame[column] if column in frame.columns else None
