"""Which policy set owns a document, and what a reference from one to another means."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from costlens_policy.checker.library import File, Found, Library, declares_a_set, sets_in
from costlens_policy.diagnostics.model import Diagnostic, Severity, Span
from costlens_policy.diagnostics.suggestion import nearest
from costlens_policy.documents import PolicySetDocument, WorkloadDocument
from costlens_policy.frozen import frozen
from costlens_policy.source.read import checkout_of, is_yaml, repository_of, special_file, yaml_files

__all__ = ["Owners", "Reference", "resolve_reference", "resolve_set"]

_UP: Final = 10
_NEAR: Final = 3
_DOWN: Final = 2
_MOST: Final = 2_000


class Owners:
    """Finds the sets that list a file.

    ``paths`` are those from the command line. The search covers the folders above a file, and everything in its
    checkout. Without a checkout, the extent of the repository is unknown: the search covers the folders above, up to
    the user's home, and folders near the file.
    """

    def __init__(self, library: Library, paths: Sequence[Path]) -> None:
        self._library = library
        self._paths = paths
        self._looked_at: set[tuple[Path, int | None]] = set()
        self._listed: dict[Path, dict[Found, None]] = {}
        self._priced: set[Path] = set()
        self.unreadable: dict[File, None] = {}
        """Files that look like policy sets but cannot be read as such, so it is unknown what they list."""

    def of(self, file: File) -> tuple[Found, ...]:
        """Return the sets that list a file."""
        alone = checkout_of(file.resolved) is None
        for distance, folder in enumerate(self._folders(file.resolved)):
            depth = _DOWN if alone and distance < _NEAR else 0
            if self._is_new(folder, depth):
                self._note(_within(folder, depth))
        root = repository_of(file.resolved, self._paths)
        if self._is_new(root, None):
            self._note(yaml_files(_as_named(root)))
        return tuple(self._listed.get(file.resolved, ()))

    def _is_new(self, folder: Path, depth: int | None) -> bool:
        """Return whether a folder has not been looked at so deeply, and remember it; None is all the way down."""
        seen = (folder, depth) in self._looked_at
        self._looked_at.add((folder, depth))
        return not seen

    def lists(self, file: Path) -> bool:
        """Return whether a set or workload that has been looked at names a file."""
        return file in self._listed or file in self._priced

    def _folders(self, file: Path) -> Iterator[Path]:
        """Yield the folders around a file: all up to its checkout, or some where there is none."""
        checkout = checkout_of(file)
        if checkout is not None:
            yield from (folder for folder in file.parents if folder.is_relative_to(checkout))
            return
        shared = _shared()
        for folder in islice(file.parents, _UP):
            if folder in shared:
                return
            yield folder

    def _note(self, names: Iterable[str]) -> None:
        """Remember what the sets among some files list."""
        for file, sets in sets_in(self._library, names):
            workloads = [item.document for item in file.readings if isinstance(item.document, WorkloadDocument)]
            folder = os.path.dirname(file.name)
            self._priced.update(Path(os.path.realpath(os.path.join(folder, item.catalogue))) for item in workloads)
            if not (sets or workloads) or any(found.reading.document is None for found in sets):
                self.unreadable[file] = None
            for found in sets:
                for listed in _listed(found):
                    self._listed.setdefault(listed, {})[found] = None


def _listed(found: Found) -> set[Path]:
    """Return what a set lists, as far as that can be read."""
    folder, root = os.path.dirname(found.file.name), found.reading.located.root
    document = found.reading.document
    if isinstance(document, PolicySetDocument):
        names: Iterable[object] = (*document.policies, *document.catalogues, *document.data, *document.signals)
    else:
        lists = (
            value.to_plain()
            for key in ("policies", "catalogues", "data", "signals")
            if (value := root.find((key,))) is not None
        )
        names = [name for value in lists if isinstance(value, list) for name in value]
    return {Path(os.path.realpath(os.path.join(folder, name))) for name in names if isinstance(name, str)}


def _within(folder: Path, depth: int) -> Iterator[str]:
    """Yield YAML files of a folder and of some folders below it."""
    top = _as_named(folder)
    for here, folders, files in islice(os.walk(top), _MOST):
        deep = len(Path(here).relative_to(top).parts)
        folders[:] = [name for name in folders if not name.startswith(".")] if deep < depth else []
        yield from (os.path.normpath(os.path.join(here, name)) for name in sorted(files) if is_yaml(name))


def _as_named(folder: Path) -> Path:
    """Return a folder as a user in the working directory would name it."""
    try:
        here = Path.cwd()
    except OSError:  # it is gone
        return folder
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _shared() -> set[Path]:
    """Return folders in which files of many things lie; a machine may have no home and nothing for temporary files."""
    folders = [os.path.expanduser("~"), os.sep]
    with suppress(OSError):
        folders.append(tempfile.gettempdir())
    return {Path(os.path.realpath(folder)) for folder in folders}


@frozen
class Reference:
    """A path in a document, its place, and the file of the document."""

    text: str
    span: Span
    origin: str


def resolve_set(reference: Reference, paths: Iterable[Path]) -> str | Diagnostic:
    """Return the name of the policy set that a document beside it refers to, or why it cannot be opened.

    The reference stays in the repository, which ``paths`` mark out where there is no checkout. Outside of one there is
    no repository, but only files that declare a policy set are read.
    """
    origin = Path(reference.origin).resolve()
    here = Path.cwd().resolve()
    around = [here] if origin.is_relative_to(here) else []
    named = Path(os.path.realpath(origin.parent / reference.text))
    if checkout_of(origin) is None and declares_a_set(named):
        around.append(named.parent)
    return resolve_reference(reference, repository_of(origin, (*paths, *around)))


def resolve_reference(reference: Reference, repository: Path) -> str | Diagnostic:
    """Return the name under which to open the file, or why it cannot be opened."""
    try:
        return _resolve(reference, repository)
    except (OSError, ValueError, RuntimeError):  # names that no file can have, and circles of links
        return _missing(reference, "this is not a valid file name")


def _resolve(reference: Reference, repository: Path) -> str | Diagnostic:
    if os.path.isabs(reference.text):
        return _outside(reference, "outside", "write the path relative to this file")
    folder = os.path.dirname(reference.origin)
    target = Path(os.path.realpath(os.path.join(folder, reference.text)))
    if not target.is_relative_to(repository):
        how = "outside" if ".." in Path(reference.text).parts else "a link to the outside"
        return _outside(reference, how, "copy the file into the repository")
    if os.path.isdir(target):
        return _missing(reference, "choose a file in it", instead="a folder")
    if os.path.exists(target) and (what := special_file(target)):
        return _missing(reference, "replace it with a file", instead=what)
    if not os.path.isfile(target):
        return _missing(reference, _similar(reference.text, target))
    shown = os.path.normpath(os.path.join(folder, reference.text))
    return shown if os.path.realpath(shown) == str(target) else str(target)


def _outside(reference: Reference, label: str, advice: str) -> Diagnostic:
    message = f"`{reference.text}` is outside the repository"
    return Diagnostic("CL204", Severity.ERROR, message, reference.span, label, advice)


def _missing(reference: Reference, advice: str, instead: str = "") -> Diagnostic:
    message = f"`{reference.text}` is {instead}, not a file" if instead else f"there is no file `{reference.text}`"
    return Diagnostic("CL203", Severity.ERROR, message, reference.span, "cannot be read", advice)


def _similar(text: str, target: Path) -> str:
    if not os.path.isdir(target.parent):
        return f"there is no folder `{os.path.dirname(text)}` either"
    near = nearest(target.name, (item.name for item in target.parent.iterdir()))
    meant = os.path.join(os.path.dirname(text), near or "")
    return f"did you mean `{meant}`?" if near else "paths are relative to the file that contains them"
