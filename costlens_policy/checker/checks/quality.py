"""Where choices lean on measured quality: of which models, in which tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.catalogue import Model
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Place, Subject, holds_for
from costlens_policy.checker.reads import nodes_of
from costlens_policy.documents.policy import Choice
from costlens_policy.expressions import Node, TypedExpr
from costlens_policy.expressions.tree import Call, Index, ListLiteral, Literal, Logic, Name, Presence, Select
from costlens_policy.frozen import frozen

__all__ = ["Leaning", "leanings", "some_of"]


@frozen
class Leaning:
    """A key of a choice that depends on measured quality, and what it depends on.

    ``tasks`` are those that requests may have there; ``told`` says that the policies name them, otherwise they are all
    that a model was measured for. ``models`` are the candidates; of a whole catalogue, those of which some quality is
    known. ``guarded`` says that the key itself provides for a quality that is not known.
    """

    key: str
    place: Place
    choice: Choice
    tasks: tuple[str, ...]
    told: bool
    models: tuple[Model, ...]
    guarded: bool = False

    @property
    def measured(self) -> Iterator[tuple[Model, str]]:
        """The models and tasks of which a quality is known."""
        return ((model, task) for task in self.tasks for model in self.models if task in model.quality)


def leanings(subject: Subject) -> Iterator[Leaning]:
    """Yield each key of a choice that depends on measured quality, in order."""
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            if target.choose is not None:
                when = subject.typed(Place(document, (*path[:2], "when"))) if path[:1] == ("routes",) else None
                place = Place(document, (*path, "choose"))
                yield from _of_choice(subject, target.choose, place, _tasks_of(subject, when))


def some_of(items: Sequence[str], most: int = 3) -> str:
    """Return the first of some clauses, and how many more there are."""
    more = f"; {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def _of_choice(subject: Subject, choice: Choice, place: Place, told: frozenset[str] | None) -> Iterator[Leaning]:
    models = tuple(_models(subject, choice, place))
    tasks = told if told is not None else frozenset(task for model in models for task in model.quality)

    def leaning(*path: str, of: frozenset[str] | None = None, guarded: bool = False) -> Leaning:
        known, asked = told is not None or of is not None, tasks if of is None else of
        return Leaning(path[-1], place.at(*path), choice, tuple(sorted(asked)), known, models, guarded)

    if choice.within is not None:
        yield leaning("within")
    if choice.limits.min_quality is not None:
        yield leaning("limits", "min_quality")
    for key in ("minimize", "maximize"):
        typed = subject.typed(place.at(key))
        if typed is not None:
            read = list(_reads(typed))
            if None in read:
                yield leaning(key, guarded=_guards(typed))
            elif read:
                yield leaning(key, of=frozenset(task for task in read if task is not None), guarded=_guards(typed))


def _models(subject: Subject, choice: Choice, place: Place) -> Iterator[Model]:
    """Yield the candidates of a choice that may serve, as far as the catalogue alone decides."""
    catalogue, among = subject.bundle.catalogue, subject.typed(place.at("among"))
    named = {model.name: model for name in choice.models if (model := catalogue.find(name)) is not None}
    for model in named.values() if choice.models else catalogue:
        if model.retired_on(subject.day) or not (choice.models or model.quality):
            continue
        if among is None or holds_for(subject, among, model) is not False:
            yield model


def _reads(typed: TypedExpr) -> Iterator[str | None]:
    """Yield of which tasks an expression reads the quality, None for a task that depends on the request."""
    for node in nodes_of(typed.root):
        if isinstance(node, Select) and _is_quality(node.operand):
            yield node.field
        elif isinstance(node, Index) and _is_quality(node.operand):
            yield str(node.key.value) if isinstance(node.key, Literal) else None


def _guards(typed: TypedExpr) -> bool:
    """Return whether an expression asks if a quality is known, or has another value for one that is not."""
    return any(
        isinstance(node, Presence)
        or (isinstance(node, Select | Index) and node.optional)
        or (isinstance(node, Call) and node.function == "@in" and _is_quality(node.arguments[1]))
        for node in nodes_of(typed.root)
    )


def _is_quality(node: Node) -> bool:
    named = isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "model"
    return named and isinstance(node, Select) and node.field in ("quality", "quality_low")


def _tasks_of(subject: Subject, when: TypedExpr | None) -> frozenset[str] | None:
    """Return the tasks to which a condition limits requests, or those that are declared; None where all may come."""
    found = None if when is None else _limited(when.root)
    declared = subject.bundle.attributes.get("task")
    if found is None and declared is not None and declared.values:
        return frozenset(declared.values)
    return found


def _limited(node: Node) -> frozenset[str] | None:
    if isinstance(node, Logic):
        parts = [found for found in map(_limited, node.operands) if found is not None]
        if node.operator == "&&":
            return frozenset.intersection(*parts) if parts else None
        return frozenset.union(*parts) if len(parts) == len(node.operands) else None
    if not isinstance(node, Call) or len(node.arguments) != 2 or node.target is not None:
        return None
    for one, other in (node.arguments, node.arguments[::-1]):
        if node.function == "_==_" and _is_task(one) and isinstance(other, Literal):
            return frozenset({str(other.value)})
    one, other = node.arguments
    if node.function == "@in" and _is_task(one) and isinstance(other, ListLiteral):
        values = [item.value for item in other.elements if isinstance(item, Literal)]
        return frozenset(map(str, values)) if len(values) == len(other.elements) else None
    return None


def _is_task(node: Node) -> bool:
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return _is_task(node.target)
    of_request = isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "request"
    return of_request and isinstance(node, Select) and node.field == "task"
