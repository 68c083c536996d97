"""Link a policy set: read what it names, and resolve the names across files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.checker.link.declared import declare_attributes
from costlens_policy.checker.link.folders import Found
from costlens_policy.checker.link.library import File, Library, Reading
from costlens_policy.checker.link.names import check_models, check_policy_names, check_rule_ids
from costlens_policy.checker.link.references import Reference, resolve_reference
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.documents import CatalogueDocument, Document, PolicyDocument, PolicySetDocument

__all__ = ["Linked", "link_set"]

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
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
        resolved = resolve([(item.located, item.document) for item in catalogues])
        attributes, problems = declare_attributes(self._set)
        self.diagnostics += resolved.diagnostics
        self.diagnostics += problems
        bundle = LinkedBundle(
            policy_set=self._set,
            policies=policies,
            catalogues=catalogues,
            catalogue=resolved.catalogue if self._catalogue is None else self._catalogue,
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
                self._report("CL206", f"`{text}` is listed twice", span, "again here", "take one of them out", before)
                continue
            documents += self._readings(file, span, wanted, kind)
        return tuple(documents)

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
    places = {"Policy": "list it under `policies`", "Catalogue": "list it under `catalogues`"}
    return places.get(kind, "name another file")


def _check_names(bundle: LinkedBundle, whole: bool) -> Iterator[Diagnostic]:
    yield from check_policy_names(bundle.policies)
    for policy in bundle.policies:
        yield from check_rule_ids(policy)
    if whole:
        documents: Sequence[LinkedDocument[Document]] = (bundle.policy_set, *bundle.policies)
        for document in documents:
            yield from check_models(document, bundle.catalogue, bundle.policy_set.document.admit)
