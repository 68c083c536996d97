"""Check paths: whole policy sets, and documents that belong to none, each on its own."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker.bundle import CheckedBundle, LinkedBundle, LinkedDocument, all_targets_of, as_configured
from costlens_policy.checker.checks import Subject, run_checks
from costlens_policy.checker.data import read_data
from costlens_policy.checker.expressions import (
    Analysis,
    analyze_alone,
    analyze_bundle,
    check_budget_names,
    check_variables,
)
from costlens_policy.checker.library import File, Found, Library, Reading, find_sets, no_policy_set, several_policy_sets
from costlens_policy.checker.link import Linked, link_set
from costlens_policy.checker.overflows import check_overflows
from costlens_policy.checker.owners import Owners
from costlens_policy.checker.reserved import check_reserved
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity, in_order
from costlens_policy.documents import CatalogueDocument, DataDocument, Document, PolicyDocument
from costlens_policy.frozen import frozen
from costlens_policy.source.located import LocatedDocument, SourceText
from costlens_policy.source.read import is_yaml, repository_of, visible_files, yaml_files
from costlens_policy.source.suppressions import suppress

__all__ = ["Checked", "check", "check_all", "check_loose", "check_set", "files_of"]

Paths = str | PathLike[str] | Iterable[str | PathLike[str]]


@frozen
class Checked:
    """Everything found in some paths: the sets that are right, all diagnostics in order, every text by file name.

    ``files`` are the names of those that hold documents of ours; ``broken`` the places of files with sets that are not
    right.
    """

    bundles: tuple[CheckedBundle, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    files: frozenset[str]
    broken: frozenset[Path]

    @property
    def has_errors(self) -> bool:
        return any(item.is_error for item in self.diagnostics)


def check(paths: Paths, *, on: date | None = None, catalogue: Catalogue | None = None) -> CheckedBundle:
    """Return the one policy set in files or folders, checked for a day (UTC; default: today).

    ``catalogue`` replaces its own. Raises ``PolicyError`` with every diagnostic, including warnings, if there is an
    error that prevents loading, no set, or several.
    """
    return _only_set(_as_paths(paths), (), on, catalogue)


def _only_set(
    given: Sequence[Path],
    around: Sequence[Path],
    on: date | None = None,
    catalogue: Catalogue | None = None,
    changed: SourceText | None = None,
) -> CheckedBundle:
    library = Library()
    if changed is not None:
        library.put(changed)
    sets, unreadable = find_sets(library, given)
    if broken := _errors(unreadable):
        raise PolicyError(broken)
    if len(sets) != 1:
        raise PolicyError([several_policy_sets(sets) if sets else no_policy_set(library, given)])
    examined = _examine(library, sets[0], (*given, *around), on or system_now().date(), catalogue)
    if examined.bundle is None:
        raise PolicyError(examined.diagnostics)
    return examined.bundle


def check_set(
    file: str | PathLike[str], around: Sequence[Path], changed: SourceText | None = None
) -> tuple[CheckedBundle | None, tuple[Diagnostic, ...]]:
    """Return the one policy set of a file, and what is wrong with it.

    Without a checkout, ``around`` are further paths that the repository holds. ``changed`` is read in place of the file
    that has its name.
    """
    try:
        bundle = _only_set((Path(file),), around, changed=changed)
    except PolicyError as error:
        return None, error.diagnostics
    return (None, bundle.warnings) if _errors(bundle.warnings) else (bundle, ())


def check_all(paths: Paths, *, on: date | None = None) -> Checked:
    """Check every document in files and folders: each policy set as a whole, the others on their own.

    A policy or catalogue is checked with every set of its repository that lists it, wherever that set is.
    """
    given, day = _as_paths(paths), on or system_now().date()
    library = Library()
    owners = Owners(library, given)
    sets, unreadable = find_sets(library, given, nested=True)
    owning = (found for file in _parts(library, given) for found in owners.of(file))
    examined = {found: _examine(library, found, given, day) for found in dict.fromkeys((*sets, *owning))}
    reached = {reading for item in examined.values() for reading in item.reached}
    diagnostics = [*unreadable, *(problem for item in examined.values() for problem in item.diagnostics)]
    # A file that looks unlisted may be the one that a set names by a wrong path.
    lists_are_right = not any(item.code in ("CL203", "CL205") for item in diagnostics)
    diagnostics += check_loose(library, given, reached, owners, lists_are_right=lists_are_right)
    bundles = tuple(item.bundle for item in examined.values() if item.bundle is not None)
    read = frozenset(reading.located.source.name for reading in reached)
    broken = frozenset(found.file.resolved for found, item in examined.items() if item.bundle is None)
    return Checked(bundles, in_order(diagnostics), library.sources(), read, broken)


_LISTED: Final = {
    "Policy": ("CL216", "policy", "policies"),
    "Catalogue": ("CL218", "catalogue", "catalogues"),
    "Data": ("CL223", "data document", "data"),
    "Signals": ("CL231", "document of signals", "signals"),
}
"""What a policy set lists: by kind, the code for one that no set lists, the word for it, and the key."""


def _parts(library: Library, given: Sequence[Path]) -> Iterator[File]:
    """Yield the files that were given and hold what a policy set may list."""
    for file, _ in files_of(library, given):
        if any(reading.is_ours and reading.kind in _LISTED for reading in file.readings):
            yield file


def _as_paths(paths: Paths) -> tuple[Path, ...]:
    return (Path(paths),) if isinstance(paths, str | PathLike) else tuple(Path(path) for path in paths)


def _errors(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    return [item for item in diagnostics if item.is_error]


@frozen
class _Examined:
    bundle: CheckedBundle | None
    diagnostics: tuple[Diagnostic, ...]
    reached: frozenset[Reading]


def _examine(
    library: Library, found: Found, given: Sequence[Path], day: date, catalogue: Catalogue | None = None
) -> _Examined:
    """Link a set, type its expressions and, where all is well so far, run the checks."""
    linked = link_set(library, found, repository_of(found.file.resolved, given), catalogue)
    diagnostics = list(linked.diagnostics)
    if linked.bundle is None:
        return _Examined(None, tuple(diagnostics), linked.reached)
    analysis = _analyse(linked, linked.bundle, diagnostics)
    if not _errors(diagnostics):
        diagnostics += run_checks(Subject(linked.bundle, analysis.expressions, day))
    diagnostics = [as_configured(item, linked.bundle.policy_set.document) for item in diagnostics]
    warnings = suppress(diagnostics, linked.bundle.sources)
    stopped = any(item.stops for item in _errors(warnings))
    bundle = None if stopped else CheckedBundle(linked.bundle, analysis.expressions, warnings)
    return _Examined(bundle, warnings, linked.reached)


def _analyse(linked: Linked, bundle: LinkedBundle, diagnostics: list[Diagnostic]) -> Analysis:
    analysis = analyze_bundle(bundle)
    diagnostics += analysis.diagnostics
    diagnostics += check_variables(bundle, analysis, has_all_policies=linked.has_all_policies)
    if linked.has_all_policies:  # else the budgets of the others would look unknown
        diagnostics += check_budget_names(bundle, analysis)
        diagnostics += check_overflows(bundle)
        diagnostics += check_reserved(bundle)
    return analysis


Catalogues: TypeAlias = list[tuple[LocatedDocument, CatalogueDocument]]

_OURS: Final = "costlens-policy"
_HEAD: Final = re.compile(rb"""^[\s{]*["']?apiVersion["']?\s*:\s*["']?costlens-policy/""", re.MULTILINE)
_LIKELY: Final = re.compile(r"\.(ya?ml|json)", re.IGNORECASE)
_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_PEEK: Final = 64 * 1024
_MOST_OUTSIDE: Final = 1000  # YAML files of a folder outside that are looked into


def check_loose(
    library: Library, paths: Sequence[Path], reached: set[Reading], owners: Owners, *, lists_are_right: bool
) -> Iterator[Diagnostic]:
    """Yield the problems of documents that are not in ``reached``, each on its own, and add them to it.

    ``lists_are_right`` means that all files that policy sets list exist: only then are the others unlisted.
    """
    together: list[Catalogues] = [[]]  # those that were named may build on each other
    for file, named in files_of(library, paths):
        catalogues = together[0] if named else []
        if named or _OURS in file.text or _might_be_ours(file):
            yield from file.diagnostics
        for reading in file.readings:
            if reading in reached or not (named or reading.is_ours):
                continue
            reached.add(reading)
            yield from reading.diagnostics
            if lists_are_right:
                yield from _unlisted(reading, file, owners)
            if isinstance(reading.document, CatalogueDocument):
                catalogues.append((reading.located, reading.document))
            else:
                yield from _by_itself(reading)
        if not named:
            together.append(catalogues)
    for catalogues in together:
        yield from resolve(catalogues).diagnostics if catalogues else ()
    for path in paths:
        if os.path.isdir(path):
            yield from _not_read(library, path, owners)


def _by_itself(reading: Reading) -> Iterator[Diagnostic]:
    """Yield what is wrong with the meaning of a document, whatever policy set may list it."""
    if isinstance(reading.document, PolicyDocument):
        yield from analyze_alone(LinkedDocument(reading.located, reading.document))
    elif isinstance(reading.document, DataDocument):
        yield from read_data([LinkedDocument(reading.located, reading.document)])[1]


def files_of(library: Library, paths: Sequence[Path]) -> Iterator[tuple[File, bool]]:
    """Yield each file that is read, and whether it was named; whatever is not a folder counts as a file that was."""
    for path in paths:
        if os.path.isdir(path):
            yield from ((library.open(name), False) for name in yaml_files(path))
        else:
            yield library.open(path), True


def _might_be_ours(file: File) -> bool:
    """Return whether a file that cannot be read may contain a document of ours: unknown, or likely by its bytes."""
    if file.source is not None:
        return False
    if not os.path.isfile(file.name):  # a pipe, a device, a link to nothing
        return True
    words = [_OURS.encode(encoding) for encoding in _ENCODINGS]
    try:
        with open(file.name, "rb") as stream:
            before = b""
            while piece := stream.read(1 << 20):
                if any(word in before + piece for word in words):
                    return True
                before = piece[-max(map(len, words)) :]
    except OSError:
        return True
    return False


def _unlisted(reading: Reading, file: File, owners: Owners) -> Iterator[Diagnostic]:
    """Report a policy or catalogue that no set lists, or why that is unknown."""
    document = reading.document
    if document is None or reading.kind not in _LISTED:
        return
    if owners.of(file) or owners.lists(file.resolved):
        return
    unreadable = [found for found in owners.unreadable if found.resolved.parent in file.resolved.parents]
    if unreadable:
        yield from (item for found in unreadable for item in _problems(found))
        return
    code, what, key = _LISTED[reading.kind]
    protects = _protects(document)
    yield Diagnostic(
        code,
        Severity.ERROR if protects else Severity.WARNING,
        f"no policy set lists the {what} `{document.metadata.name}`",
        reading.located.root.span_of(("metadata", "name")),
        f"{protects} without effect, and checked only on its own".strip(),
        f"list the file under `{key}` of a policy set",
    )


def _protects(document: Document) -> str:
    """Describe the protections of a policy, which have no effect while no set lists it; empty for none."""
    if not isinstance(document, PolicyDocument):
        return ""
    targets = (target.apply for _, target in all_targets_of(document))
    applied = (*targets, *(rule.apply for rule in document.rewrites))
    redacts = any(step.facts.protects for operations in applied for step in operations)
    protecting = {"access rules": document.access, "budgets": document.budgets, "redaction": redacts}
    named = [name for name, there in protecting.items() if there]
    verb = "is" if named == ["redaction"] else "are"
    return f"its {' and '.join(named)} {verb}" if named else ""


def _problems(file: File) -> Iterator[Diagnostic]:
    yield from file.diagnostics
    for reading in file.readings:
        yield from reading.diagnostics


def _not_read(library: Library, folder: Path, owners: Owners) -> Iterator[Diagnostic]:
    """Report what a folder holds that looks as if it were meant to be read, and is not."""
    shut: list[OSError] = []
    inside = Path(os.path.realpath(folder))
    repository = repository_of(inside / "_", [inside])
    for path in visible_files(folder, shut.append):
        real = Path(os.path.realpath(path))
        if os.path.islink(path) and not real.is_relative_to(repository):
            if os.path.isdir(path):
                if _holds_ours(real):
                    message = f"`{path}` links to a folder outside the repository, so its documents are not read"
                    yield _unread("CL204", message, "copy the folder into it")
            elif is_yaml(os.path.basename(path)) and not owners.lists(real):  # reported where it is listed
                yield _unread("CL204", f"`{path}` links to a file outside the repository", "copy the file into it")
        elif not is_yaml(os.path.basename(path)) and real not in library and _looks_like_ours(path):
            message = f"`{path}` holds a costlens-policy document, but folders are searched for YAML files only"
            yield _unread("CL219", message, "rename it to end in `.yaml`, or remove it")
    for error in shut:
        reason = (error.strerror or "unknown reason").lower()
        message = f"the folder `{error.filename}` cannot be listed: {reason}"
        yield Diagnostic("CL001", Severity.ERROR, message, help="change its permissions, or run as its owner")


def _holds_ours(folder: Path) -> bool:
    """Look for a document of ours in a folder outside, which may be anything: a cache of a build tool, a disk."""
    names = (name for name in visible_files(folder) if is_yaml(os.path.basename(name)))
    return any(_begins_like_ours(name) for name in islice(names, _MOST_OUTSIDE))


def _unread(code: str, message: str, help: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, help=help)


def _looks_like_ours(path: str) -> bool:
    """Look into a file that is YAML by the middle of its name, as in ``policy.yaml.bak``, or JSON, or has no ending."""
    name = os.path.basename(path)
    if name.startswith(".") or not (_LIKELY.search(name) or "." not in name):
        return False
    return _begins_like_ours(path)


def _begins_like_ours(path: str) -> bool:
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as stream:
            beginning = stream.read(_PEEK)
    except OSError:
        return False
    return _HEAD.search(beginning.removeprefix(codecs.BOM_UTF8)) is not None
