"""Messages, help and pages avoid the words that docs/glossary.md replaces. An exception is spelled out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

AVOID: Final = {
    r"rungs?|gauges?": "threshold",
    r"fall(s|ing)? out|fell out|take(s|n)? out|takes? it out": "exclude, remove",
    r"reckon\w*": "estimate, assume",
    r"dear(er|est)": "more expensive, most expensive",
    r"by hand": "manually, manual adjustment",
    r"an own": "your own, a custom",
    r"tells|told|says|said": "reports, shows, prints",
    r"moments?": "timestamp",
    r"present (folder|directory|period|model|day|month|week|time)": "current",
    r"(this|which|that) (is|are) none|truth values?": "must be …, got …",
    r"exclude each other": "are mutually exclusive",
    r"whole numbers?": "integer",
    r"misspelt|learnt|whilst|telephone": "American spelling",
    r"\w*(colour|behaviour|honour|favour|neighbour|labell|modell|cancell|artefact)\w*": "American spelling",
    r"(recogn|summar|minim|maxim|normal|optim|organ|serial|initial)is(e|es|ed|ing|ation)": "American spelling",
}
"""Patterns of whole words, and what to write instead."""

EXCEPTIONS: Final = (
    "modellist",  # names of parameters
    "telephone|telefon",  # what texts say
    "in a moment",
    "a moment ago",
)

FORBIDDEN: Final = re.compile(rf"\b({'|'.join(AVOID)})\b", re.IGNORECASE)
_NOT_PROSE: Final = re.compile(r"^```.*?^```|`[^`\n]+`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)

WAITING: Final = ("engine", "expressions", "ledger")
"""Parts of the package whose messages still have such words; take a name out once it has none."""

MODULES: Final = sorted(
    path
    for path in (ROOT / "costlens_policy").rglob("*.py")
    if path.relative_to(ROOT / "costlens_policy").parts[0] not in WAITING
)
PAGES: Final = sorted(
    path
    for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"))
    if "Made by `make docs`" not in path.read_text(encoding="utf-8")  # from docstrings
    and path.name not in ("glossary.md", "functions.md")  # the first lists such words
)
POLICIES: Final = sorted([*ROOT.glob("policies/**/*.yaml"), *ROOT.glob("examples/**/*.yaml")])


def found(text: str) -> list[str]:
    """Return the words to avoid in a text, without what stands in backticks."""
    text = _NOT_PROSE.sub("``", text)
    for allowed in EXCEPTIONS:
        text = text.replace(allowed, "")
    return [match[0] for match in FORBIDDEN.finditer(text)]


def messages(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module with two words or more: its strings without its docstrings."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    docstrings = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list)
        for statement in body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docstrings:
            continue
        if " " in node.value.strip():
            yield node.lineno, node.value


def test_messages() -> None:
    wrong = [
        f"{module.relative_to(ROOT)}:{line}: {word}"
        for module in MODULES
        for line, text in messages(module)
        for word in found(text)
    ]
    assert wrong == []


def test_pages_and_policies() -> None:
    wrong = {str(page.relative_to(ROOT)): found(page.read_text(encoding="utf-8")) for page in (*PAGES, *POLICIES)}
    assert {page: words for page, words in wrong.items() if words} == {}


def test_a_word_to_avoid_is_found_outside_of_code() -> None:
    assert found("the dearest model, `reckoned` by hand") == ["dearest", "by hand"]
