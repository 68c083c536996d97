"""A mutant: a policy set with one small change, as an edit of the text that it was read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import unified_diff
from enum import StrEnum

from costlens_policy.diagnostics.model import Span
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path

__all__ = ["Edit", "Mutant", "MutantKind", "diff_of", "edited"]


class MutantKind(StrEnum):
    """What was changed. The names are part of the JSON output."""

    COMPARISON = "comparison"
    BOUNDARY = "boundary"
    OPERAND = "operand"
    JUNCTION = "junction"
    NEGATION = "negation"
    CONDITION = "condition"
    BRANCH = "branch"
    LITERAL = "literal"
    ORDER = "order"
    RULE = "rule"
    OUTCOME = "outcome"
    LIMIT = "limit"
    WINDOW = "window"
    MODEL = "model"
    CHOICE = "choice"
    THRESHOLD = "threshold"
    SHARE = "share"
    REWRITE = "rewrite"
    SCOPE = "scope"
    ERRORS = "on_error"


@frozen
class Edit:
    """The characters from ``start`` up to ``end`` of a text are replaced."""

    start: int
    end: int
    text: str


@frozen
class Mutant:
    """One change.

    ``rule`` is the rule (``policy/rule``), a variable (``policy/variables.name``), ``policy/on_error``, or ``default``
    where the policy set itself is changed. ``document`` is the place of the changed document: 0 for the policy set,
    then its policies in order. ``what`` says what was changed, as a clause; ``span`` and ``path`` are where.
    """

    rule: str
    kind: MutantKind
    what: str
    document: int
    edits: tuple[Edit, ...]
    span: Span
    path: Path

    @property
    def key(self) -> str:
        """What tells a mutant from all others of its set, for the cache; it does not depend on where the rule is."""
        start = self.span.start.offset
        edits = ",".join(f"{edit.start - start}:{edit.end - edit.start}:{edit.text}" for edit in self.edits)
        return f"{self.rule}|{'.'.join(map(str, self.path[2:]))}|{self.what}|{edits}"


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return a text after edits, which must not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def diff_of(before: str, edits: Sequence[Edit], context: int = 1) -> Iterator[str]:
    """Yield the lines of a unified diff without its head: ``@@ … @@``, then lines with ``-``, ``+`` or a space."""
    lines = unified_diff(before.splitlines(), edited(before, edits).splitlines(), lineterm="", n=context)
    for line in lines:
        if not line.startswith(("--- ", "+++ ")):
            yield line
