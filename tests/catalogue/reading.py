"""Read catalogue texts the way the checker does, without the schema between."""

from __future__ import annotations

from costlens_policy.catalogue.resolve import Resolved, resolve
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.catalogue import CatalogueDocument
from costlens_policy.source.compose import compose
from costlens_policy.source.located import LocatedDocument
from costlens_policy.source.read import source_of

HEAD = 'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: test, version: "1"}\n'


def read(text: str, name: str = "catalogue.yaml") -> tuple[LocatedDocument, CatalogueDocument]:
    composed = compose(source_of(text, name))
    assert not composed.diagnostics, composed.diagnostics
    (located,) = composed.documents
    return located, CatalogueDocument.model_validate(located.root.to_plain())


def resolved(*bodies: str) -> Resolved:
    """Resolve catalogues whose bodies follow the usual head; they are named ``1.yaml``, ``2.yaml`` and so on."""
    return resolve([read(HEAD + body, f"{number}.yaml") for number, body in enumerate(bodies, 1)])


def told(result: Resolved) -> list[tuple[str, str]]:
    """Return (code, the text that the diagnostic points at) of each problem; the bodies must be one-file ones."""
    return [(item.code, place(item)) for item in result.diagnostics]


def place(item: Diagnostic) -> str:
    assert item.span is not None
    start = item.span.start
    return f"{start.line - HEAD.count(chr(10))}:{start.column}"


def pointed(body: str, item: Diagnostic) -> str:
    """Return the text under the caret."""
    assert item.span is not None
    return (HEAD + body)[item.span.start.offset : item.span.end.offset]
