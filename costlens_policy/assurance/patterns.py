"""The patterns of a policy set, those of ``matches`` in expressions and those of rewrites, and what they fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from re import _constants as codes
from re import _parser as parser
from typing import Any, Final

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.checks.subject import Place, operations_of
from costlens_policy.checker.reads import nodes_of
from costlens_policy.diagnostics.model import Span
from costlens_policy.expressions.tree import Call, Index, Literal, Name, Node, Select
from costlens_policy.patterns import PatternError, compile_pattern

__all__ = ["WrittenPattern", "written_patterns"]

_TEXTS: Final = frozenset({"prompt", "system"})
"""Attributes in which people search for a part."""


@dataclass(frozen=True)
class WrittenPattern:
    """A pattern, where it is written, and what it is held against.

    ``label`` is the attribute of the request, or key of one of its maps, that an expression matches; empty for a prompt
    and for what is worked out. ``replaced`` says that a rewrite replaces what it matches.
    """

    text: str
    span: Span
    label: str = ""
    replaced: bool = False

    @cached_property
    def _tree(self) -> Sequence[tuple[Any, Any]]:
        """The items of the pattern; none where it cannot be taken apart, or begins and ends at each line."""
        try:
            with warnings.catch_warnings(action="ignore"):  # of what Python may read differently one day
                found = parser.parse(self.text)
        except (re.error, RecursionError, OverflowError):
            return ()
        return () if found.state.flags & re.MULTILINE else tuple(found)

    @property
    def fits_all(self) -> bool:
        """Whether it fits every text, the empty one among them."""
        return all(self._fits(text) for text in _SAMPLES)

    @property
    def fits_nothing(self) -> bool:
        """Whether it asks for something before the beginning of a text, or behind its end."""
        return _never(self._tree)

    @property
    def fits_empty(self) -> bool:
        """Whether it fits between any two characters."""
        return bool(self._tree) and self._fits("") and not any(code is codes.AT for code, _ in self._tree)

    @property
    def has_bare_dot(self) -> bool:
        """Whether a dot that stands for any character looks like one that stands for itself, as in `acme.com`."""
        items = list(self._tree)
        return any(
            code is codes.ANY and _is_word(before) and _is_word(after)
            for before, (code, _), after in zip(items, items[1:], items[2:], strict=False)
        )

    @property
    def has_loose_anchors(self) -> bool:
        """Whether ``^`` or ``$`` belongs to one alternative alone, as in `^a|b$`."""
        branches = [value[1] for code, value in self._tree if code is codes.BRANCH]
        for alternatives in branches:
            for place in (0, -1):
                anchored = [bool(items) and items[place][0] is codes.AT for items in alternatives]
                if any(anchored) and not all(anchored):
                    return True
        return False

    @property
    def is_anchored(self) -> bool:
        """Whether it has `^` or `$`, at any place."""
        return any(code is codes.AT for code, _ in _all(self._tree))

    @property
    def begins_anywhere(self) -> bool:
        """Whether it ends with `$` and begins with a word, before which there may be more."""
        items = list(self._tree)
        return len(items) > 1 and items[-1] == (codes.AT, codes.AT_END) and _is_word(items[0])

    @property
    def is_of_words(self) -> bool:
        """Whether it is one word, or another, as in `prod|staging`."""
        items = list(self._tree)
        while len(items) == 1 and items[0][0] is codes.SUBPATTERN:
            items = list(items[0][1][-1])
        words = items[0][1][1] if len(items) == 1 and items[0][0] is codes.BRANCH else [items]
        return all(words) and all(_is_word(item) or item == _HYPHEN for word in words for item in word)

    @property
    def ends_like_a_domain(self) -> bool:
        """Whether it ends as in `@acme[.]com`, with no `$` behind."""
        text = self.text.replace("[.]", "\\.")
        return _DOMAIN.search(text) is not None

    @property
    def repeats_a_character(self) -> bool:
        """Whether `*` stands behind a character, as in `svc-*`, which fits `sv` and `svc---`."""
        return any(
            code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and value[0] == 0 and value[1] is codes.MAXREPEAT
            and len(value[2]) == 1 and value[2][0][0] is codes.LITERAL and not chr(value[2][0][1]).isspace()
            for code, value in _all(self._tree)
        )  # fmt: skip

    @property
    def has_wide_class(self) -> bool:
        """Whether a class goes from `A` to `z`, with the signs between the letters' cases."""
        return "A-z" in self.text

    @property
    def has_backslash(self) -> bool:
        r"""Whether it asks for a backslash before a letter, as `\\\\d` does that was escaped twice."""
        return _ESCAPED_TWICE.search(self.text) is not None

    @property
    def is_of_whole_text(self) -> bool:
        """Whether it begins with `^` and ends with `$`."""
        items = list(self._tree)
        return len(items) > 1 and items[0] == (codes.AT, codes.AT_BEGINNING) and items[-1] == (codes.AT, codes.AT_END)

    @property
    def has_empty_alternative(self) -> bool:
        """Whether one of several alternatives is empty, so that it fits nothing at all, too."""
        return any(code is codes.BRANCH and any(not items for items in value[1]) for code, value in _all(self._tree))

    def _fits(self, text: str) -> bool:
        try:
            return compile_pattern(self.text).search(text.encode(), 0) is not None
        except PatternError:
            return False


_HYPHEN: Final = (codes.LITERAL, ord("-"))
_DOMAIN: Final = re.compile(r"@[\w-]+(\\\.[\w-]+)+$")
_ESCAPED_TWICE: Final = re.compile(r"\\\\[dDwWsSb]")
_SAMPLES: Final = ("", "x", "7", " #", "Zé漢", "some words", "a-b_c.d@e")


def _all(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a pattern, and those inside of them."""
    for code, value in items:
        yield code, value
        match code:
            case codes.SUBPATTERN:
                yield from _all(value[-1])
            case codes.BRANCH:
                for alternative in value[1]:
                    yield from _all(alternative)
            case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
                yield from _all(value[2])


def _never(items: Iterable[tuple[Any, Any]]) -> bool:
    """Return whether no text fits a sequence of items."""
    begun = ended = False
    for code, value in items:
        if code is codes.AT and value in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING):
            if begun:
                return True
        elif code is codes.AT and value in (codes.AT_END, codes.AT_END_STRING):
            ended = True
        elif _least(code, value):
            if ended:
                return True
            begun = True
        if code is codes.BRANCH and all(_never(alternative) for alternative in value[1]):
            return True
        if code is codes.SUBPATTERN and _never(value[-1]):
            return True
    return False


def _least(code: Any, value: Any) -> bool:
    """Return whether an item takes at least one character."""
    match code:
        case codes.LITERAL | codes.NOT_LITERAL | codes.ANY | codes.IN:
            return True
        case codes.SUBPATTERN:
            return any(_least(*item) for item in value[-1])
        case codes.BRANCH:
            return all(any(_least(*item) for item in alternative) for alternative in value[1])
        case codes.MAX_REPEAT | codes.MIN_REPEAT | codes.POSSESSIVE_REPEAT:
            return value[0] > 0 and any(_least(*item) for item in value[2])
        case _:
            return False


def _is_word(item: tuple[Any, Any]) -> bool:
    code, value = item
    return code is codes.LITERAL and chr(value).isalnum()


def written_patterns(subject: Subject) -> tuple[WrittenPattern, ...]:
    """Return all of them, in the order in which they are written."""
    return (*_in_expressions(subject), *_in_operations(subject))


def _in_expressions(subject: Subject) -> Iterator[WrittenPattern]:
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for node in nodes_of(typed.root):
                if isinstance(node, Call) and node.function == "matches" and node.target is not None:
                    pattern = node.arguments[0]
                    if isinstance(pattern, Literal) and isinstance(pattern.value, str):
                        span = Place(document, path).part(pattern.extent)
                        yield WrittenPattern(pattern.value, span, _label(node.target))


def _in_operations(subject: Subject) -> Iterator[WrittenPattern]:
    for operation, place in operations_of(subject.documents):
        if operation.replace is not None:
            at = place.at("replace", "pattern")
            yield WrittenPattern(operation.replace.pattern, at.span, replaced=True)


def _label(node: Node) -> str:
    """Return the name of a label of the request, empty for a prompt or something worked out."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        node = node.target
    if isinstance(node, Index) and isinstance(node.key, Literal):
        return str(node.key.value) if _is_of_request(node.operand) else ""
    if not isinstance(node, Select) or node.field in _TEXTS:
        return ""
    return node.field if _is_of_request(node.operand) else ""


def _is_of_request(node: Node) -> bool:
    while isinstance(node, Select):
        node = node.operand
    return isinstance(node, Name) and node.name == "request"
