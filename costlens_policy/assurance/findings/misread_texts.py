"""CL472: a text that a test does not read as its author meant it: a wildcard in ``==``, half of a domain, a capital."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from costlens_policy.assurance.findings.texts import label_of
from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions.tree import Call, ListLiteral, Literal, Node

__all__ = ["find_misread_texts"]

_FOUND: Final = Finding("CL472")
_EQUAL: Final = frozenset({"_==_", "_!=_", "@in"})
_TESTS: Final = frozenset({"startsWith", "endsWith", "contains"})
_WILD: Final = re.compile(r"[\w@./:-]+\*|\*[\w@./:-]+|[\w@./:-]+\*[\w@./:-]+|\^.+|.*\.[*+].*|\w.*[a-z0-9*+)\]]\$")
_DOMAIN: Final = re.compile(
    r"[\w-]+(\.[\w-]+)*\.(com|org|net|edu|gov|io|ai|dev|app|cloud|example|test|local|internal|info|biz|corp|[a-z]{2})"
)
"""A domain without a dot or an ``@`` before it. Two letters are a country, but a program, too: see ``_PROGRAMS``."""
_PROGRAMS: Final = (".py", ".js", ".ts", ".go", ".rs", ".md", ".gz", ".sh", ".cs", ".rb", ".kt")
_ADDRESS: Final = re.compile(r"@" + _DOMAIN.pattern)
_STAGES: Final = ("environment", "env", "stage")
_LIVE: Final = ("prod", "production", "live")
_CASES: Final = {"lowerAscii": str.lower, "upperAscii": str.upper}
_LETTERS: Final = re.compile(r"\\[pP](\{[^}]*\}|.)|\\.|\[[^\]]*\]|\(\?[^)]*\)")

_Reason: TypeAlias = tuple[str, str, str]


def find_misread_texts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of patterns where texts are compared, of tests of half a domain, and of cases that never occur."""
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            place = Place(document, path)
            for node in nodes_of(typed.root):
                if not isinstance(node, Call):
                    continue
                for literal in _texts(node):
                    reason = _reason(node, str(literal.value))
                    if reason is not None:
                        message, label, advice = reason
                        yield _FOUND.warning(message, place.part(literal.extent), label, advice)


def _texts(node: Call) -> Iterator[Literal]:
    """Yield the texts that are written out in a comparison or a test."""
    for side in node.arguments if node.function in _EQUAL | _TESTS | {"matches"} else ():
        for item in side.elements if isinstance(side, ListLiteral) else (side,):
            if isinstance(item, Literal) and isinstance(item.value, str):
                yield item


def _reason(node: Call, text: str) -> _Reason | None:
    if node.target is not None:
        return _changed(node, text) or (_tested(node, text) if label_of(node.target) else None)
    is_label = any(label_of(side) for side in node.arguments)
    return _pattern(text, "compared as it is") if is_label and node.function in _EQUAL else None


def _changed(node: Call, text: str) -> _Reason | None:
    """Return what is wrong with a text that is looked for after its case was changed."""
    change = _CASES.get(node.target.function) if isinstance(node.target, Call) else None
    letters = _LETTERS.sub("", text) if node.function == "matches" else text
    if change is None or letters == change(letters) or (node.function == "matches" and "(?i" in text):
        return None
    message = f"`{text}` never occurs in a text after `{_name(node.target)}`"
    return message, "never true", f"write `{change(text)}`" if node.function != "matches" else "write it in that case"


def _name(node: Node | None) -> str:
    return node.function if isinstance(node, Call) else ""


def _tested(node: Call, text: str) -> _Reason | None:
    if node.function not in _TESTS or node.target is None:
        return None
    if node.function == "contains" and label_of(node.target) in _STAGES and text in _LIVE:
        message = f"`contains` also holds for `non{text}` and `pre{text}`"
        return message, "matches anywhere in the text", f'write `== "{text}"` or `startsWith("{text}")`'
    if node.function == "contains" and _ADDRESS.fullmatch(text):
        message = f"`contains` also holds for texts that go on behind `{text}`, as in `{text}.example.org`"
        return message, "matches anywhere in the text", f'write `endsWith("{text}")`'
    if node.function == "endsWith" and _DOMAIN.fullmatch(text) and not text.endswith(_PROGRAMS):
        message = f"`endsWith` also holds for texts such as `not{text}`"
        return message, "begins in the middle of a name", f'write `endsWith("@{text}")` or `endsWith(".{text}")`'
    return _pattern(text, "looked for as it is")


def _pattern(text: str, label: str) -> _Reason | None:
    if not _WILD.fullmatch(text):
        return None
    message = f"`{text}` looks like a pattern, and stands where only the very same text counts"
    return message, label, "use `startsWith`, `endsWith` or `matches` with a regular expression"
