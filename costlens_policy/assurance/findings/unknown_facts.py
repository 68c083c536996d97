"""CL474: a capability, region, task, label, modality or format that no model or request ever has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, get_args

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import listed, nearest
from costlens_policy.documents.document import Capability
from costlens_policy.documents.parameters import PASSING
from costlens_policy.expressions import Extent
from costlens_policy.expressions.tree import Call, Conditional, Index, Literal, Name, Node, Select
from costlens_policy.frozen import frozen

__all__ = ["find_unknown_facts"]

_FOUND: Final = Finding("CL474")
_CAPABILITIES: Final = frozenset(get_args(Capability))
_BY_TASK: Final = frozenset({"quality", "quality_low", "quality_high", "quality_cases", "quality_measured"})
_BY_KEY: Final = frozenset(("model", name) for name in (*_BY_TASK, "labels"))
_LISTED: Final = frozenset({("model", "capabilities"), ("model", "regions"), ("request", "modalities"), *_BY_KEY})
_MODALITIES: Final = frozenset({"text", "image", "audio", "audio_output", "file", "video"})
_FORMATS: Final = frozenset({"text", "json_object", "json_schema", "grammar", "regex"})


@frozen
class _Read:
    """A word that is looked for, in which vocabulary, and where. ``closed`` says that there are no other words."""

    word: str
    vocabulary: str
    extent: Extent
    closed: bool = True


def find_unknown_facts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of words that conditions look for, and that neither the catalogue nor the API of a provider has."""
    yield from _unknown_targets(subject)
    known = _vocabularies(subject)
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for read in (found for node in nodes_of(typed.root) for found in _reads(node)):
                words = known[read.vocabulary]
                near = nearest(read.word, words)
                if read.word in words or not words or (not read.closed and near is None):
                    continue
                advice = f"did you mean `{near}`?" if near else f"there are {listed(sorted(words), most=8)}"
                message = f"no {_WHOSE[read.vocabulary]} `{read.word}`"
                yield _FOUND.warning(message, Place(document, path).part(read.extent), "never there", advice)


def _unknown_targets(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of names that ``model_from`` may give and that identify no model: such a request is refused."""
    catalogue = subject.bundle.linked.catalogue
    if subject.bundle.linked.policy_set.document.admit.unknown_models:
        return
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            if path[-1] != "model_from":
                continue
            yield from _unknown_rows(subject, typed.root)
            for literal in _outcomes(typed.root):
                name = str(literal.value)
                if name and catalogue.find(name) is None:
                    near = nearest(name, subject.domain.models)
                    yield _FOUND.warning(
                        f"no model of the catalogue has the name `{name}`",
                        Place(document, path).part(literal.extent),
                        "can never serve",
                        f"did you mean `{near}`?" if near else "",
                    )


def _unknown_rows(subject: Subject, node: Node) -> Iterator[Diagnostic]:
    """Warn of names in a table that ``model_from`` looks up."""
    tables = {table.name: table for table in subject.bundle.linked.tables}
    catalogue = subject.bundle.linked.catalogue
    for steps in _lookups(node):
        table = tables.get(steps[0] or "")
        if table is None:
            continue
        for path, name in _values(table.document.data, steps[1:]):
            if name and catalogue.find(name) is None:
                near = nearest(name, subject.domain.models)
                yield _FOUND.warning(
                    f"no model of the catalogue has the name `{name}`",
                    Place(table, ("data", *path)).span,
                    "can never serve",
                    f"did you mean `{near}`?" if near else "",
                )


def _lookups(node: Node) -> Iterator[tuple[str | None, ...]]:
    """Yield what is read of ``data``: the names on the way, and None for a key that is computed."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        yield from _lookups(node.target)
    elif isinstance(node, Conditional):
        yield from _lookups(node.accepted)
        yield from _lookups(node.rejected)
    elif (steps := _steps(node)) and len(steps) > 1:
        yield steps[1:]


def _steps(node: Node) -> tuple[str | None, ...]:
    match node:
        case Name(name="data"):
            return ("data",)
        case Select(operand=operand, field=name):
            return (*above, name) if (above := _steps(operand)) else ()
        case Index(operand=operand, key=key):
            written = str(key.value) if isinstance(key, Literal) else None
            return (*above, written) if (above := _steps(operand)) else ()
        case _:
            return ()


def _values(value: object, steps: tuple[str | None, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the texts that a look-up may give, with their paths."""
    if not steps:
        if isinstance(value, str):
            yield (), value
    elif isinstance(value, Mapping):
        for key in value if steps[0] is None else value.keys() & {steps[0]}:
            yield from (((key, *path), found) for path, found in _values(value[key], steps[1:]))


def _outcomes(node: Node) -> Iterator[Literal]:
    """Yield the texts that are written out and that an expression may give."""
    if isinstance(node, Conditional):
        yield from _outcomes(node.accepted)
        yield from _outcomes(node.rejected)
    elif isinstance(node, Call) and node.function == "orValue":
        yield from _outcomes(node.arguments[0])
    elif isinstance(node, Literal) and isinstance(node.value, str):
        yield node


_WHOSE: Final = {
    "capabilities": "model has the capability",
    "regions": "model of the catalogue is in the region",
    **dict.fromkeys(_BY_TASK, "model of the catalogue has this for the task"),
    "quality": "model of the catalogue has a quality for the task",
    "labels": "model of the catalogue has the label",
    "modalities": "request has the modality",
    "type": "provider has the response format",
    "params": "known provider takes a parameter",
}


def _vocabularies(subject: Subject) -> Mapping[str, Collection[str]]:
    views = list(subject.domain.models.values())
    return {
        "capabilities": _CAPABILITIES,
        "regions": _words(views, "regions"),
        **{name: _words(views, name) for name in _BY_TASK},
        "labels": _words(views, "labels"),
        "modalities": _MODALITIES,
        "type": _FORMATS,
        "params": PASSING,
    }


def _words(views: list[Mapping[str, object]], name: str) -> frozenset[str]:
    """Return the elements of a list, or the keys of a map, that any model has."""
    found = (view.get(name) for view in views)
    return frozenset(str(word) for words in found if isinstance(words, list | dict) for word in words)


def _reads(node: Node) -> Iterator[_Read]:
    if isinstance(node, Call) and node.function == "@in" and isinstance(node.arguments[0], Literal):
        chain = _chain(node.arguments[1])
        if chain in _LISTED:
            yield _Read(str(node.arguments[0].value), chain[1], node.arguments[0].extent)
    elif isinstance(node, Call) and node.function in ("_==_", "_!=_"):
        for side, other in (node.arguments, node.arguments[::-1]):
            if _chain(side) == ("request", "response_format", "type") and isinstance(other, Literal):
                yield _Read(str(other.value), "type", other.extent)
    elif isinstance(node, Select | Index):
        chain = _chain(node)
        if len(chain) == 3 and chain[:2] in _BY_KEY:
            yield _Read(chain[2], chain[1], _last(node))
        elif len(chain) == 3 and chain[:2] == ("request", "params"):
            yield _Read(chain[2], "params", _last(node), closed=False)


def _last(node: Select | Index) -> Extent:
    return node.field_extent if isinstance(node, Select) else node.key.extent


def _chain(node: Node) -> tuple[str, ...]:
    """Return the names on the way to what is read, its default left out; nothing for anything else."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return _chain(node.target)
    if isinstance(node, Name):
        return (node.name,)
    if isinstance(node, Select):
        return (*above, node.field) if (above := _chain(node.operand)) else ()
    if isinstance(node, Index) and isinstance(node.key, Literal):
        return (*above, str(node.key.value)) if (above := _chain(node.operand)) else ()
    return ()
