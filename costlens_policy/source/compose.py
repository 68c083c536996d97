"""Turn a text into located documents, in one pass over the events of the YAML parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import yaml

from costlens_policy.diagnostics.model import Diagnostic, in_order
from costlens_policy.source import problems
from costlens_policy.source.characters import forbidden_characters
from costlens_policy.source.located import LocatedDocument, SourceText
from costlens_policy.source.places import span_between
from costlens_policy.source.syntax import syntax_problem
from costlens_policy.source.tree_builder import LimitError, TreeBuilder

__all__ = ["Composed", "compose"]

# The C parser counts positions in code points, as the pure one does, and is about ten times faster.
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True)
class Composed:
    """The documents of one file and every problem found; with an error among these, use no document."""

    documents: tuple[LocatedDocument, ...]
    diagnostics: tuple[Diagnostic, ...]


def compose(source: SourceText) -> Composed:
    """Compose all documents of a text. Bad input raises nothing; empty documents are left out."""
    if forbidden := tuple(forbidden_characters(source)):
        return Composed((), forbidden)
    builder = TreeBuilder(source)
    diagnostics = builder.diagnostics
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        diagnostics.append(syntax_problem(source, error))
    except LimitError as stop:
        diagnostics.append(stop.diagnostic)
    if not builder.roots and not diagnostics:
        diagnostics.append(problems.empty_file(span_between(source, 0, 0)))
    documents = tuple(LocatedDocument(source, root) for root in builder.roots)
    return Composed(documents, in_order(diagnostics))
