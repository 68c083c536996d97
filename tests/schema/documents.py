"""Documents as texts, read as a program would read them."""

from __future__ import annotations

from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import Document
from costlens_policy.schema import read_document
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

HEAD = 'apiVersion: costlens-policy/v1\nkind: {kind}\nmetadata: {{name: example, version: "1"}}\n'


def read(text: str, kind: str = "Policy") -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """Read the one document of a text; the head is put before it."""
    (located,) = compose(source_of(HEAD.format(kind=kind) + text, "input.yaml")).documents
    return read_document(located)


def problems(text: str, kind: str = "Policy") -> list[tuple[str, str, str]]:
    """Return code, message and the text at the place of each problem."""
    whole = HEAD.format(kind=kind) + text
    found = []
    for item in read(text, kind)[1]:
        assert item.span is not None
        found.append((item.code, item.message, whole[item.span.start.offset : item.span.end.offset]))
    return found
