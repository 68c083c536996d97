"""Documents that no policy set has reached, and files that might hold some and were not read."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.expressions import analyse_alone
from costlens_policy.checker.link import File, Library, Owners, Reading
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.documents import CatalogueDocument, Document, PolicyDocument
from costlens_policy.source.folders import is_yaml, repository_of, visible_files, yaml_files
from costlens_policy.source.located import LocatedDocument

__all__ = ["check_loose", "files_of"]

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
    """Yield what is wrong with documents that are not among ``reached``, each taken by itself, and add them to it.

    ``lists_are_right`` says that whatever policy sets list is there: only then is the rest unlisted.
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
            if isinstance(reading.document, PolicyDocument):
                yield from analyse_alone(LinkedDocument(reading.located, reading.document))
            if isinstance(reading.document, CatalogueDocument):
                catalogues.append((reading.located, reading.document))
        if not named:
            together.append(catalogues)
    for catalogues in together:
        yield from resolve(catalogues).diagnostics if catalogues else ()
    for path in paths:
        if os.path.isdir(path):
            yield from _not_read(library, path, owners)


def files_of(library: Library, paths: Sequence[Path]) -> Iterator[tuple[File, bool]]:
    """Yield each file that is read, and whether it was named; whatever is not a folder counts as a file that was."""
    for path in paths:
        if os.path.isdir(path):
            yield from ((library.open(name), False) for name in yaml_files(path))
        else:
            yield library.open(path), True


def _might_be_ours(file: File) -> bool:
    """Say whether a file that cannot be read may hold a document of ours: nobody can tell, or its bytes say so."""
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
    """Report a policy or catalogue that no set lists, or why nobody can tell whether one does."""
    document = reading.document
    if not isinstance(document, PolicyDocument | CatalogueDocument):
        return
    if owners.of(file) or owners.lists(file.resolved):
        return
    unreadable = [found for found in owners.unreadable if found.resolved.parent in file.resolved.parents]
    if unreadable:
        yield from (item for found in unreadable for item in _problems(found))
        return
    is_policy = isinstance(document, PolicyDocument)
    code, what, key = ("CL216", "policy", "policies") if is_policy else ("CL218", "catalogue", "catalogues")
    protects = _protects(document)
    yield Diagnostic(
        code,
        Severity.ERROR if protects else Severity.WARNING,
        f"no policy set lists the {what} `{document.metadata.name}`",
        reading.located.root.span_of(("metadata", "name")),
        f"{protects} without effect, and checked only by itself".strip(),
        f"list the file under `{key}` of a policy set",
    )


def _protects(document: Document) -> str:
    """Say what of a policy keeps others safe, and does not while no set lists it; empty for nothing."""
    if not isinstance(document, PolicyDocument):
        return ""
    redacts = any(step.redact is not None for rewrite in document.rewrites for step in rewrite.apply)
    protecting = {"access rules": document.access, "budgets": document.budgets, "redaction": redacts}
    named = [name for name, there in protecting.items() if there]
    return f"its {' and '.join(named)} are" if named else ""


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
                    message = f"`{path}` is a link to a folder outside of the repository, whose documents are not read"
                    yield _unread("CL204", message, "copy the folder into it")
            elif is_yaml(os.path.basename(path)) and not owners.lists(real):  # who lists it has been told
                yield _unread("CL204", f"`{path}` is a link that leads out of the repository", "copy the file into it")
        elif not is_yaml(os.path.basename(path)) and real not in library and _looks_like_ours(path):
            message = f"`{path}` holds a document of costlens-policy, and folders are searched for YAML files only"
            yield _unread("CL219", message, "let its name end in `.yaml`, or remove it")
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
