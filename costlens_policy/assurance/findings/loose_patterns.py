"""CL445: a pattern that fits more than its author meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, Literal, Name, Node, Select

__all__ = ["find_loose_patterns"]

_FOUND: Final = Finding("CL445")
_PLAIN: Final = re.compile(r"[\w \-/:@]+")
_TEXTS: Final = frozenset({"prompt"})
"""Attributes in which people search for a part."""


def find_loose_patterns(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of ``matches`` with a plain text on a label: it also fits every text that has it inside."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                if not isinstance(node, Call) or node.function != "matches" or node.target is None:
                    continue
                pattern = node.arguments[0]
                if isinstance(pattern, Literal) and isinstance(pattern.value, str) and _is_label(node.target):
                    text = pattern.value
                    if _PLAIN.fullmatch(text):
                        yield _FOUND.warning(
                            f"the pattern `{text}` also matches `non{text}` and `{text}s`",
                            Place(document, path).part(pattern.extent),
                            "matches anywhere in the text",
                            f'write `== "{text}"`, `^{text}$`, or `contains("{text}")` where that is meant',
                        )


def _is_label(node: Node) -> bool:
    """Say whether a text is that of a label of the request, not a prompt or something worked out."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        node = node.target
    if not (isinstance(node, Select) and isinstance(node.operand, Name)):
        return False
    return node.operand.name == "request" and node.field not in _TEXTS
