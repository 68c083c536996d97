"""From a path that a document names to the file that it means. Policies under review are not trusted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from costlens_policy.diagnostics.model import Diagnostic, Severity, Span
from costlens_policy.diagnostics.suggestion import nearest

__all__ = ["Reference", "resolve_reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A path as a document gives it, the place where it stands, and the file that gives it."""

    text: str
    span: Span
    origin: str


def resolve_reference(reference: Reference, repository: Path) -> str | Diagnostic:
    """Return the name under which to open the file, or why it cannot be opened."""
    try:
        return _resolve(reference, repository)
    except (OSError, ValueError, RuntimeError):  # names that no file can have, and circles of links
        return _missing(reference, "no file can have this name")


def _resolve(reference: Reference, repository: Path) -> str | Diagnostic:
    if os.path.isabs(reference.text):
        return _outside(reference, "outside", "write the path relative to this file")
    folder = os.path.dirname(reference.origin)
    target = Path(os.path.realpath(os.path.join(folder, reference.text)))
    if not target.is_relative_to(repository):
        how = "outside" if ".." in Path(reference.text).parts else "a link out of it"
        return _outside(reference, how, "copy the file into the repository")
    if os.path.isdir(target):
        return _missing(reference, "name a file in it", instead="a folder")
    if not os.path.isfile(target):
        return _missing(reference, _similar(reference.text, target))
    shown = os.path.normpath(os.path.join(folder, reference.text))
    return shown if os.path.realpath(shown) == str(target) else str(target)


def _outside(reference: Reference, label: str, advice: str) -> Diagnostic:
    message = f"`{reference.text}` leads out of the repository"
    return Diagnostic("CL204", Severity.ERROR, message, reference.span, label, advice)


def _missing(reference: Reference, advice: str, instead: str = "") -> Diagnostic:
    message = f"`{reference.text}` is {instead}, not a file" if instead else f"there is no file `{reference.text}`"
    return Diagnostic("CL203", Severity.ERROR, message, reference.span, "cannot be read", advice)


def _similar(text: str, target: Path) -> str:
    if not os.path.isdir(target.parent):
        return f"there is no folder `{os.path.dirname(text)}` either"
    near = nearest(target.name, (item.name for item in target.parent.iterdir()))
    meant = os.path.join(os.path.dirname(text), near or "")
    return f"did you mean `{meant}`?" if near else "paths are relative to the file that names them"
