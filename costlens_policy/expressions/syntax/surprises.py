"""What to say of a token that the grammar has no place for."""

from __future__ import annotations

from collections.abc import Collection

from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.syntax.tokens import Token
from costlens_policy.expressions.tree import Extent

__all__ = ["unexpected"]

_CLOSERS = {"RPAR": ")", "RSQB": "]", "RBRACE": "}"}
_OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_WORDS_FOR_SIGNS = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "is": "==",
    "equals": "==",
    "mod": "%",
    "then": "?",
    "else": ":",
}


def unexpected(token: Token, tokens: list[Token], expected: Collection[str], source: str) -> Problem:
    """Say what stands there, what could, and what was probably meant."""
    extent = Extent(token.start, token.end)
    if token.terminal == "$END":
        return _unexpected_end(tokens, expected, extent)
    shown = shortened(source[token.start : token.end])
    before = tokens[: tokens.index(token)]
    expectation = _expectation(expected, _still_open(before))
    return Problem("CL301", f"unexpected `{shown}`", extent, expectation, _advice(token, before, source))


def _unexpected_end(tokens: list[Token], expected: Collection[str], extent: Extent) -> Problem:
    opened = _still_open(tokens)
    if opened is not None:
        sign = _CLOSERS[_OPENERS[opened.terminal]]
        place = Extent(opened.start, opened.end)
        return Problem(
            "CL301", f"`{opened.value}` is not closed", place, "it is opened here", f"close it with `{sign}`"
        )
    return Problem("CL301", "the expression ends too early", extent, _expectation(expected, None))


def _still_open(tokens: list[Token]) -> Token | None:
    opened: list[Token] = []
    for token in tokens:
        if token.terminal in _OPENERS:
            opened.append(token)
        elif token.terminal in _CLOSERS and opened:
            opened.pop()
    return opened[-1] if opened else None


def _expectation(expected: Collection[str], opened: Token | None) -> str:
    if "LPAR" in expected and "INT_LIT" in expected:
        return "a value is expected here"
    if "COLON" in expected and "QMARK" not in expected:
        return "`:` is expected here"
    if "PLUS" in expected:
        ending = f"`{_CLOSERS[_OPENERS[opened.terminal]]}`" if opened else "the end"
        return f"an operator or {ending} is expected here"
    return "a name is expected here" if "IDENT" in expected else ""


def _advice(token: Token, before: list[Token], source: str) -> str:
    last = before[-1] if before else None
    for candidate in (token, last):
        if candidate is not None and candidate.terminal == "IDENT" and candidate.value in _WORDS_FOR_SIGNS:
            return f"write `{_WORDS_FOR_SIGNS[candidate.value]}` instead of `{candidate.value}`"
    if token.terminal in _CLOSERS and _still_open(before) is None:
        return f"nothing was opened that this `{source[token.start]}` could close"
    if last is not None and last.terminal == token.terminal == "IDENT":
        return "put an operator between the two, or quotes around a text"
    return ""
