"""Where rules lean on measured quality: of which models, in which tasks.

A choice does by its limits and its order, any rule by a condition that reads ``model.quality``. A route that ``fit``
wrote leans on it, too, although it reads nothing: its model stands there for what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.bundle import all_targets_of, own_models
from costlens_policy.checker.checks.subject import Place, Subject, holds_for
from costlens_policy.checker.reads import nodes_of
from costlens_policy.documents.policy import FIT_DATA, Choice, PolicyDocument, Target
from costlens_policy.expressions import Node, TypedExpr
from costlens_policy.expressions.tree import (
    Call,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Name,
    Presence,
    Select,
)
from costlens_policy.frozen import frozen

__all__ = ["Leaning", "Limit", "Read", "leanings", "some_of"]

_QUALITY: Final = ("quality", "quality_low")
_EVIDENCE: Final = ("quality_cases", "quality_measured")
_IN_CHOICES: Final = frozenset({"among", "minimize", "maximize"})
_ORDERS: Final = ("_<_", "_<=_", "_>_", "_>=_")


@frozen
class Read:
    """What is read of quality: in which task, None for that of the request, and whether the lower end."""

    task: str | None
    low: bool


@frozen
class Limit:
    """A number that an expression compares the quality in a task with, None for the task of the request."""

    task: str | None
    value: float


@frozen
class Leaning:
    """A key of a rule that depends on measured quality, and what it depends on.

    ``tasks`` are those that requests may have there; ``told`` says that the policies name them, otherwise they are all
    that a model was measured for. ``models`` are the candidates; of a whole catalogue, those of which some quality is
    known. ``guarded`` says that the key itself provides for a quality that is not known, ``low`` that it reads lower
    ends of intervals, and ``limits`` are numbers that it compares with. ``choice`` is None outside of choices.
    """

    key: str
    place: Place
    choice: Choice | None
    tasks: tuple[str, ...]
    told: bool
    models: tuple[Model, ...]
    guarded: bool = False
    low: bool = False
    limits: tuple[Limit, ...] = ()

    @property
    def measured(self) -> Iterator[tuple[Model, str]]:
        """The models and tasks of which a quality is known."""
        return ((model, task) for task in self.tasks for model in self.models if task in model.quality)


def leanings(subject: Subject) -> Sequence[Leaning]:
    """Return each key of a rule that depends on measured quality: those of choices in order, then the others."""
    return subject.once(_leanings)


def _leanings(subject: Subject) -> Iterator[Leaning]:
    for document in subject.documents():
        fitted = isinstance(document.document, PolicyDocument) and FIT_DATA in document.document.metadata.labels
        for path, target in all_targets_of(document.document):
            place = Place(document, path)
            when = subject.typed(Place(document, (*path[:2], "when"))) if path[:1] == ("routes",) else None
            if target.choose is not None:
                told = _tasks_of(subject, place, when)
                yield from _of_choice(subject, target.choose, place.at("choose"), told)
            elif fitted:
                yield from _of_fit(subject, target, place, _tasks_of(subject, place, when))
        for at, typed in subject.expressions[document].items():
            if not (len(at) > 1 and at[-2] == "choose" and at[-1] in _IN_CHOICES):
                yield from _of_condition(subject, typed, Place(document, at))


def some_of(items: Sequence[str], most: int = 3) -> str:
    """Return the first of some clauses, and how many more there are."""
    more = f"; {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def _of_choice(subject: Subject, choice: Choice, place: Place, told: frozenset[str] | None) -> Iterator[Leaning]:
    models = tuple(_models(subject, choice, place))
    tasks = told if told is not None else _measured_tasks(models)

    def leaning(*path: str) -> Leaning:
        low = choice.quality == "lower_bound"
        return Leaning(path[-1], place.at(*path), choice, tuple(sorted(tasks)), told is not None, models, low=low)

    if choice.within is not None:
        yield leaning("within")
    if choice.limits.min_quality is not None:
        yield leaning("limits", "min_quality")
    for key in ("minimize", "maximize"):
        typed = subject.typed(place.at(key))
        if typed is not None:
            yield from _of_expression(typed, place.at(key), choice, told, models)
    among = subject.typed(place.at("among"))
    if among is not None and any(_reads(among)):
        asks = any(_selected(node, _EVIDENCE) for node in nodes_of(among.root))
        candidates = models if asks else tuple(_candidates(subject, choice))
        yield from _of_expression(among, place.at("among"), choice, told, candidates)


def _of_expression(
    typed: TypedExpr, place: Place, choice: Choice | None, told: frozenset[str] | None, models: tuple[Model, ...]
) -> Iterator[Leaning]:
    """Yield how an expression leans on quality: in the tasks that it names, or in those of requests."""
    read = list(_reads(typed))
    if not read:
        return
    of_request = any(item.task is None for item in read)
    tasks = {item.task for item in read if item.task is not None}
    if of_request:
        tasks |= told if told is not None else _measured_tasks(models)
    yield Leaning(
        str(place.path[-1]),
        place,
        choice,
        tuple(sorted(tasks)),
        told is not None or not of_request,
        models,
        _guards(typed),
        any(item.low for item in read),
        tuple(_limits(typed)),
    )


def _of_condition(subject: Subject, typed: TypedExpr, place: Place) -> Iterator[Leaning]:
    """Yield how a condition outside of choices leans on quality: that of every model that may serve."""
    if any(_reads(typed)):
        models = tuple(
            model for model in subject.bundle.catalogue if model.quality and not model.retired_on(subject.day)
        )
        yield from _of_expression(typed, place, None, _tasks_of(subject, place, typed), models)


def _of_fit(subject: Subject, target: Target, place: Place, told: frozenset[str] | None) -> Iterator[Leaning]:
    """Yield how a route that `fit` wrote leans on the quality of the model that it sends its tasks to."""
    first = next(own_models(target, place.path), None)
    model = None if first is None else subject.bundle.catalogue.find(first.name)
    if first is not None and model is not None and model.quality:
        tasks = frozenset(model.quality) if told is None else told
        key = str(first.path[-1] if isinstance(first.path[-1], str) else first.path[-2])
        yield Leaning(
            key, Place(place.document, first.path), None, tuple(sorted(tasks)), told is not None, (model,), True
        )


def _measured_tasks(models: Sequence[Model]) -> frozenset[str]:
    return frozenset(task for model in models for task in model.quality)


def _models(subject: Subject, choice: Choice, place: Place) -> Iterator[Model]:
    """Yield the candidates of a choice that may serve, as far as the catalogue alone decides."""
    among = subject.typed(place.at("among"))
    for model in _candidates(subject, choice):
        if among is None or holds_for(subject, among, model) is not False:
            yield model


def _candidates(subject: Subject, choice: Choice) -> Iterator[Model]:
    """Yield the models that a choice names, or else those of the catalogue of which a quality is known."""
    catalogue = subject.bundle.catalogue
    named = {model.name: model for name in choice.models if (model := catalogue.find(name)) is not None}
    for model in named.values() if choice.models else catalogue:
        if not model.retired_on(subject.day) and (choice.models or model.quality):
            yield model


def _reads(typed: TypedExpr) -> Iterator[Read]:
    """Yield what an expression reads of quality."""
    for node in nodes_of(typed.root):
        if (found := _read(node)) is not None:
            yield found


def _read(node: Node) -> Read | None:
    if not isinstance(node, Select | Index) or not _selected(node.operand, _QUALITY):
        return None
    assert isinstance(node.operand, Select)
    low = node.operand.field == "quality_low"
    if isinstance(node, Select):
        return Read(node.field, low)
    return Read(str(node.key.value) if isinstance(node.key, Literal) else None, low)


def _limits(typed: TypedExpr) -> Iterator[Limit]:
    """Yield the numbers that an expression compares values of quality with."""
    for node in nodes_of(typed.root):
        if isinstance(node, Call) and node.function in _ORDERS and len(node.arguments) == 2:
            for one, other in (node.arguments, node.arguments[::-1]):
                read = _read(_value_of(one))
                if read is not None and not read.low and isinstance(other, Literal) and _is_number(other.value):
                    yield Limit(read.task, float(other.value))


def _value_of(node: Node) -> Node:
    """Return what a node is where it is known, without what `get` and `orValue` take in its place."""
    return node.target if isinstance(node, Call) and node.function == "orValue" and node.target is not None else node


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _guards(typed: TypedExpr) -> bool:
    """Return whether an expression asks if a quality is known, or has another value for one that is not."""
    return any(
        isinstance(node, Presence)
        or (isinstance(node, Select | Index) and node.optional)
        or (isinstance(node, Call) and node.function == "@in" and _selected(node.arguments[1], _QUALITY))
        for node in nodes_of(typed.root)
    )


def _selected(node: Node, fields: Sequence[str]) -> bool:
    """Whether a node is one of these fields of ``model``."""
    named = isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "model"
    return named and isinstance(node, Select) and node.field in fields


def _tasks_of(subject: Subject, place: Place, when: TypedExpr | None) -> frozenset[str] | None:
    """Return the tasks to which a condition limits requests, or those that are declared; None where all may come."""
    variables = subject.variables(place.document)
    found = None if when is None else _limited(when.root, variables)
    declared = subject.bundle.attributes.get("task")
    if found is None and declared is not None and declared.values:
        return frozenset(declared.values)
    return found


def _limited(node: Node, variables: Mapping[str, TypedExpr]) -> frozenset[str] | None:
    if isinstance(node, Logic):
        parts = [found for item in node.operands if (found := _limited(item, variables)) is not None]
        if node.operator == "&&":
            return frozenset.intersection(*parts) if parts else None
        return frozenset.union(*parts) if len(parts) == len(node.operands) else None
    if not isinstance(node, Call) or len(node.arguments) != 2 or node.target is not None:
        return None
    for one, other in (node.arguments, node.arguments[::-1]):
        if node.function == "_==_" and _is_task(one, variables) and isinstance(other, Literal):
            return frozenset({str(other.value)})
    one, other = node.arguments
    if node.function == "@in" and _is_task(one, variables) and isinstance(other, ListLiteral):
        values = [item.value for item in other.elements if isinstance(item, Literal)]
        return frozenset(map(str, values)) if len(values) == len(other.elements) else None
    return None


def _is_task(node: Node, variables: Mapping[str, TypedExpr]) -> bool:
    """Whether a node is the task of the request, or a variable that stands for it."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return _is_task(node.target, variables)
    if isinstance(node, Conditional):
        return _is_task(node.accepted, variables) or _is_task(node.rejected, variables)
    if not isinstance(node, Select) or not isinstance(node.operand, Name):
        return False
    if node.operand.name == "variables" and node.field in variables:
        return _is_task(variables[node.field].root, {})
    return node.operand.name == "request" and node.field == "task"
