"""Link a policy set: resolve the documents it names, declare its attributes, and find names that do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker.attributes import (
    ASKED_MODEL,
    SIGNALS,
    STANDARD_ATTRIBUTES,
    DeclaredAttribute,
    signals_attribute,
)
from costlens_policy.checker.bundle import (
    LinkedBundle,
    LinkedDocument,
    NamedModel,
    SharedData,
    admitted_models,
    named_models,
)
from costlens_policy.checker.data import read_data
from costlens_policy.checker.library import File, Found, Library, Reading
from costlens_policy.checker.owners import Reference, resolve_reference
from costlens_policy.checker.signals import read_signals
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import (
    CatalogueDocument,
    DataDocument,
    Document,
    PolicyDocument,
    PolicySetDocument,
    SignalsDocument,
)
from costlens_policy.documents.policy_set import Admission, Attribute
from costlens_policy.expressions import DYN, STRING, Type, parse_type
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path as LocatedPath
from costlens_policy.source.located import SourceText
from costlens_policy.source.read import read_source

__all__ = ["Linked", "check_models", "check_policy_names", "check_rule_ids", "declare_attributes", "link_set"]

D = TypeVar("D", bound=Document)


@frozen
class Linked:
    """``bundle`` is absent where the policy set itself cannot be read; with errors it may lack policies.

    ``reached`` are the documents that the set is made of.
    """

    bundle: LinkedBundle | None
    diagnostics: tuple[Diagnostic, ...]
    reached: frozenset[Reading]
    has_all_policies: bool = False


def link_set(library: Library, found: Found, repository: Path, catalogue: Catalogue | None = None) -> Linked:
    """Read and link everything that a policy set names. References stay inside ``repository``.

    ``catalogue`` takes the place of the set's own.
    """
    document = found.reading.document
    if not isinstance(document, PolicySetDocument):
        return Linked(None, found.reading.diagnostics, frozenset({found.reading}))
    linker = _Linker(library, found, LinkedDocument(found.reading.located, document), repository, catalogue)
    bundle = linker.link()
    return Linked(bundle, tuple(linker.diagnostics), frozenset(linker.reached), linker.has_all_policies)


class _Linker:
    def __init__(
        self,
        library: Library,
        found: Found,
        policy_set: LinkedDocument[PolicySetDocument],
        repository: Path,
        catalogue: Catalogue | None,
    ) -> None:
        self._library = library
        self._file = found.file
        self._set = policy_set
        self._repository = repository
        self._catalogue = catalogue
        self.diagnostics: list[Diagnostic] = []
        self.reached: list[Reading] = [found.reading]
        self.has_all_policies = False

    def link(self) -> LinkedBundle:
        policies = self._documents("policies", PolicyDocument, "Policy")
        self.has_all_policies = not any(item.is_error for item in self.diagnostics)
        before = len(self.diagnostics)
        catalogues = self._documents("catalogues", CatalogueDocument, "Catalogue")
        unread = any(item.is_error for item in self.diagnostics[before:])
        known = len(self.diagnostics)
        tables = self._documents("data", DataDocument, "Data")
        data: SharedData | None
        data, wrong = read_data(tables)
        self.diagnostics += wrong
        if any(item.is_error for item in self.diagnostics[known:]):
            data = None  # what stands there is not known, and what reads it left in peace
        known = len(self.diagnostics)
        declaring = self._documents("signals", SignalsDocument, "Signals")
        signals, wrong = read_signals(declaring, self._side_file)
        self.diagnostics += wrong
        if any(item.is_error for item in self.diagnostics[known:]):
            signals = replace(signals, complete=False)
        resolved = resolve([(item.located, item.document) for item in catalogues])
        attributes, problems = declare_attributes(self._set)
        if declaring:
            attributes = {**attributes, SIGNALS: signals_attribute(signals.by_name.values())}
        self.diagnostics += resolved.diagnostics
        self.diagnostics += problems
        bundle = LinkedBundle(
            policy_set=self._set,
            policies=policies,
            catalogues=catalogues,
            catalogue=resolved.catalogue if self._catalogue is None else self._catalogue,
            tables=tables,
            data=data,
            signal_documents=declaring,
            signals=signals,
            attributes=attributes,
            sources=self._library.sources(),
        )
        # With a catalogue that is not all there, every model would look unknown.
        whole = not unread and not any(item.is_error for item in resolved.diagnostics)
        self.diagnostics += _check_names(bundle, whole)
        return bundle

    def _documents(self, key: str, wanted: type[D], kind: str) -> tuple[LinkedDocument[D], ...]:
        """Read the files under a key of the set, in order."""
        documents: list[LinkedDocument[D]] = []
        first: dict[File, Span] = {}
        for index, text in enumerate(getattr(self._set.document, key)):
            span = self._set.located.root.span_of((key, index))
            file = self._open(text, span)
            if file is None:
                continue
            if (before := first.setdefault(file, span)) != span:
                self._report("CL206", f"`{text}` is listed twice", span, "again here", "remove one of them", before)
                continue
            documents += self._readings(file, span, wanted, kind)
        return tuple(documents)

    def _side_file(self, text: str, span: Span, origin: str) -> SourceText | Diagnostic:
        """Return the text of a file that a document names beside itself, or why it cannot be read."""
        name = resolve_reference(Reference(text, span, origin), self._repository)
        if isinstance(name, Diagnostic):
            return name
        source = self._library.open(name).source
        if source is not None:
            return source
        try:
            return read_source(name)
        except PolicyError as error:
            return replace(error.diagnostics[0], span=span)

    def _open(self, text: str, span: Span) -> File | None:
        name = resolve_reference(Reference(text, span, self._file.name), self._repository)
        if isinstance(name, Diagnostic):
            self.diagnostics.append(name)
            return None
        return self._library.open(name)

    def _readings(self, file: File, span: Span, wanted: type[D], kind: str) -> Iterator[LinkedDocument[D]]:
        """Yield the documents of a file that are of the wanted kind; a file may hold several."""
        self.diagnostics += file.diagnostics
        readings = [reading for reading in file.readings if reading.kind == kind]
        for reading in readings or file.readings:
            self.reached.append(reading)
            self.diagnostics += reading.diagnostics
            if isinstance(reading.document, wanted):
                yield LinkedDocument(reading.located, reading.document)
        if not readings and all(reading.document is not None for reading in file.readings) and file.readings:
            other = file.readings[0].kind
            message = f"`{file.name}` is a {other}, not a {kind}"
            self._report("CL205", message, span, f"a {kind} is needed here", _where(other))

    def _report(self, code: str, message: str, span: Span, label: str, advice: str, first: Span | None = None) -> None:
        related = (Related(first, "first here"),) if first is not None else ()
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, label, advice, related))


def _where(kind: str) -> str:
    places = {
        "Policy": "list it under `policies`",
        "Catalogue": "list it under `catalogues`",
        "Data": "list it under `data`",
        "Signals": "list it under `signals`",
    }
    return places.get(kind, "name another file")


def _check_names(bundle: LinkedBundle, whole: bool) -> Iterator[Diagnostic]:
    yield from check_policy_names(bundle.policies)
    for policy in bundle.policies:
        yield from check_rule_ids(policy)
    if whole:
        documents: Sequence[LinkedDocument[Document]] = (bundle.policy_set, *bundle.policies)
        for document in documents:
            yield from check_models(document, bundle.catalogue, bundle.policy_set.document.admit)


_SCALARS: Final = ("string", "int", "uint", "double", "bool", "bytes", "timestamp", "duration", "dyn")
_SIZED: Final = ("string", "bytes", "list", "map")
_KEYS: Final = ("string", "int", "uint", "bool")
_OTHER_NAMES: Final = {
    "str": "string", "text": "string", "float": "double", "number": "double", "integer": "int", "boolean": "bool",
    "array": "list(dyn)", "object": "map(string, dyn)", "dict": "map(string, dyn)", "any": "dyn",
    "list": "list(dyn)", "map": "map(string, dyn)", "datetime": "timestamp", "date": "timestamp",
}  # fmt: skip


_TAKEN: Final = {
    ASKED_MODEL: "the model that `request.model` means, and no caller gives it",
    SIGNALS: "what documents of `kind: Signals` declare",
}
"""Attributes of ``request`` that no policy set declares."""


def declare_attributes(
    policy_set: LinkedDocument[PolicySetDocument],
) -> tuple[Mapping[str, DeclaredAttribute], tuple[Diagnostic, ...]]:
    """Return all attributes of a set. One whose declaration is wrong is there, as ``dyn``, and reported."""
    attributes = dict(STANDARD_ATTRIBUTES)
    diagnostics: list[Diagnostic] = []
    for name, attribute in policy_set.document.attributes.items():
        declaration = _Declaration(policy_set, name, attribute)
        attributes[name] = declaration.read()
        diagnostics += declaration.diagnostics
    return attributes, tuple(diagnostics)


class _Declaration:
    """One attribute and what is wrong with it."""

    def __init__(self, policy_set: LinkedDocument[PolicySetDocument], name: str, attribute: Attribute) -> None:
        self._located = policy_set.located
        self._path: LocatedPath = ("attributes", name)
        self._name = name
        self._attribute = attribute
        self.diagnostics: list[Diagnostic] = []

    def read(self) -> DeclaredAttribute:
        given = self._attribute
        standard = STANDARD_ATTRIBUTES.get(self._name)
        found = self._type()
        if self._name in _TAKEN:
            self._report_taken()
        if standard is not None and found is not None and standard.type not in (found, DYN):
            self._report_narrowing(standard.type)
            found = standard.type
        if given.values and found not in (STRING, None):
            self._report(
                "CL212",
                "values",
                f"`values` applies to strings only, but `{self._name}` is of type {found}",
                "not a string",
            )
        return replace(
            standard or DeclaredAttribute(self._name, DYN, recorded=True),
            type=found or DYN,
            required=given.required,
            default=None if found is None else self._default(found),
            values=given.values,
            description=given.description or (standard.description if standard else ""),
            max_size=self._max_size(found),
        )

    def _max_size(self, found: Type | None) -> int | None:
        given = self._attribute.max_size
        if given is not None and found is not None and found.name not in _SIZED:
            message = f"`max_size` applies to strings, lists and maps only, but `{self._name}` is of type {found}"
            self._report("CL212", "max_size", message, "has no size")
            return None
        return given

    def _report(self, code: str, key: str, message: str, label: str = "", advice: str = "") -> None:
        span = self._located.root.span_of((*self._path, key))
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, label, advice))

    def _type(self) -> Type | None:
        text = self._attribute.type
        try:
            found = parse_type(text)
        except ValueError:
            self._report("CL210", "type", f"unknown type `{text}`", "not a type", _types_there_are())
            return None
        unknown = next(_unusable(found), None)
        if unknown is None:
            return found
        self._report("CL210", "type", f"unknown type `{unknown}`", "not a type", _meant(unknown))
        return None

    def _report_taken(self) -> None:
        span = self._located.root.key_span(self._path)
        assert span is not None
        message = f"`{self._name}` is {_TAKEN[self._name]}"
        self.diagnostics.append(Diagnostic("CL212", Severity.ERROR, message, span, "taken", "choose another name"))

    def _report_narrowing(self, wanted: Type) -> None:
        message = f"`{self._name}` is a standard attribute of type {wanted}"
        advice = f"write `type: {wanted}`, or give your attribute another name"
        self._report("CL212", "type", message, "another type", advice)

    def _default(self, found: Type) -> Any:
        given = self._attribute
        if given.default is None:
            return None
        if not _fits(given.default, found):
            self._report("CL211", "default", f"the default must be of type {found}", f"not of type {found}")
        elif given.max_size is not None and found.name in _SIZED and len(given.default) > given.max_size:
            self._report(
                "CL211",
                "default",
                f"the default must have a size of at most {given.max_size}, its `max_size`",
                "too large",
            )
        elif given.values and given.default not in given.values:
            near = did_you_mean(str(given.default), given.values)
            advice = near or f"choose {listed(given.values, 'or')}"
            self._report("CL211", "default", f"the default must be one of `values`, got `{given.default}`", "", advice)
        return _plain(given.default)


def _meant(unknown: Type) -> str:
    if unknown.name == "map" and len(unknown.parameters) == 2:
        return f"map keys must be of type {listed(_KEYS, 'or')}"
    if unknown.name in _SCALARS:
        return f"`{unknown.name}` takes no type parameters"
    other = _OTHER_NAMES.get(str(unknown).lower())
    near = f"did you mean `{other}`?" if other else did_you_mean(unknown.name, (*_SCALARS, "list", "map"))
    return near or _types_there_are()


def _types_there_are() -> str:
    return f"the types are {listed(_SCALARS)}, `list(…)` and `map(…, …)`"


def _unusable(found: Type) -> Iterator[Type]:
    """Yield the parts of a type that no attribute can have."""
    arity = {"list": 1, "map": 2}.get(found.name, 0)
    unknown = not arity and found.name not in _SCALARS
    for part in found.parameters:
        yield from _unusable(part)
    if unknown or len(found.parameters) != arity or (found.name == "map" and found.parameters[0].name not in _KEYS):
        yield found


def _fits(value: Any, wanted: Type) -> bool:
    """Return whether a plain YAML value is valid for a type."""
    match wanted.name:
        case "dyn":
            return True
        case "list":
            return isinstance(value, list) and all(_fits(item, wanted.parameters[0]) for item in value)
        case "map":
            return isinstance(value, dict) and all(_fits(item, wanted.parameters[1]) for item in value.values())
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "uint":
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64
        case "double":
            return isinstance(value, int | Decimal) and not isinstance(value, bool)
        case "timestamp":
            return isinstance(value, datetime) and value.tzinfo is not None
        case name:
            return isinstance(value, bool if name == "bool" else str)


def _plain(value: Any) -> Any:
    """Return a value with floats for decimals, as a request would carry it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return float(value) if isinstance(value, Decimal) else value


_SECTIONS: Final = ("access", "routes", "rewrites", "budgets")


def check_policy_names(policies: Sequence[LinkedDocument[PolicyDocument]]) -> Iterator[Diagnostic]:
    """Report policies of one set with the same name: decisions name rules as ``policy/rule``."""
    first: dict[str, Span] = {}
    for policy in policies:
        span = policy.located.root.span_of(("metadata", "name"))
        if (before := first.setdefault(policy.name, span)) != span:
            message = f"two policies of the set are named `{policy.name}`"
            yield _twice(
                "CL206", message, span, before, "rename one of them; decisions identify rules as `policy/rule`"
            )


def check_rule_ids(policy: LinkedDocument[PolicyDocument]) -> Iterator[Diagnostic]:
    """Report rules of one policy with the same id, whatever their sections."""
    first: dict[str, Span] = {}
    for section in _SECTIONS:
        for index, rule in enumerate(getattr(policy.document, section)):
            span = policy.located.root.span_of((section, index, "id"))
            if (before := first.setdefault(rule.id, span)) != span:
                message = f"two rules of the policy `{policy.name}` have the id `{rule.id}`"
                yield _twice("CL207", message, span, before, "give one of them another id")


def _twice(code: str, message: str, span: Span, first: Span, advice: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, "again here", advice, (Related(first, "first here"),))


def check_models(document: LinkedDocument[Document], catalogue: Catalogue, admit: Admission) -> Iterator[Diagnostic]:
    """Report models that the catalogue does not know; if the set admits those, only likely misspellings.

    A version of a known model is served under the catalogue's name, which is a warning. An access rule that allows an
    unknown name is probably misspelled, too, but it allows nothing.
    """
    for named in named_models(document.document):
        known = catalogue.find(named.name)
        if known is not None and not catalogue.calls_it(named.name):
            yield _version(document, named, known.name)
        if known is None:
            meant = catalogue.suggest(named.name)
            # A choice compares what the catalogue knows, so that nothing unknown can take part in it.
            admitted = admit.unknown_models and not named.chosen
            if meant is not None or not admitted:
                yield _unknown(document, named, meant, Severity.WARNING if admitted else Severity.ERROR)
    for named in admitted_models(document.document):
        if catalogue.find(named.name) is None:
            meant = catalogue.suggest(named.name)
            if meant is not None or not admit.unknown_models:
                yield _unknown(document, named, meant, Severity.WARNING)


def _version(document: LinkedDocument[Document], named: NamedModel, own: str) -> Diagnostic:
    return Diagnostic(
        "CL217",
        Severity.WARNING,
        f"`{named.name}` is served as `{own}`, the catalogue model that it is a version of",
        document.located.root.span_of(named.path),
        "not a name in the catalogue",
        f"write `{own}`, or import or declare `{named.name}` to send that name",
    )


def _unknown(
    document: LinkedDocument[Document], named: NamedModel, meant: str | None, severity: Severity
) -> Diagnostic:
    return Diagnostic(
        "CL208",
        severity,
        f"the catalogue has no model `{named.name}`",
        document.located.root.span_of(named.path),
        "unknown model",
        f"did you mean `{meant}`?" if meant else "declare it in a catalogue of the policy set, or import it there",
    )
