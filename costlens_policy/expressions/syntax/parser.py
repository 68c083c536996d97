"""The LALR loop: tokens in, the tree out. It keeps its own stack, so that no nesting can exhaust Python's."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeAlias

from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.problems import ExpressionError, Problem, shortened
from costlens_policy.expressions.syntax.grammar import Tables, tables
from costlens_policy.expressions.syntax.macros import Expansion, Use, expand
from costlens_policy.expressions.syntax.tokens import Token, tokenize
from costlens_policy.expressions.tree import (
    Call,
    Conditional,
    Extent,
    Index,
    ListLiteral,
    Literal,
    Logic,
    MapEntry,
    MapLiteral,
    Name,
    Node,
    Select,
)  # fmt: skip

__all__ = ["Builder", "Part", "parse", "unexpected"]


def parse(source: str, limits: Limits = DEFAULT_LIMITS) -> Node:
    """Return the tree of an expression, its macros expanded. Raises ExpressionError with every problem found."""
    if len(source) > limits.source:
        message = f"an expression must be at most {limits.source:,} characters long, got {len(source):,}"
        raise ExpressionError((Problem("CL305", message, Extent(0, 0), "this expression is too long"),))
    grammar = tables()
    tokens, problems = tokenize(source, limits, grammar)
    if not tokens and not problems:
        extent = Extent(0, len(source))
        problems = [
            Problem("CL301", "the expression is empty", extent, "", "write `true` for a condition that always holds")
        ]
    if problems:
        raise ExpressionError(tuple(problems))
    builder = Builder(limits)
    node = _run(grammar, tokens, builder, source)
    if builder.problems:
        raise ExpressionError(tuple(builder.problems))
    return node


def _run(grammar: Tables, tokens: list[Token], builder: Builder, source: str) -> Node:
    states, values = [0], list[Any]()
    for token in (*tokens, Token("$END", len(source), len(source), None)):
        while True:
            action = grammar.states[states[-1]].get(token.terminal)
            if action is None:
                raise ExpressionError((unexpected(token, tokens, grammar.states[states[-1]], source),))
            if isinstance(action, int):
                states.append(action)
                values.append(token)
                break
            size = action.size
            if action.builds:
                values[-size:] = [builder.reduce(action.name, values[-size:])]
            del states[-size:]
            states.append(grammar.after(states[-1], action.name, token.terminal))
            if states[-1] == grammar.end and token.terminal == "$END":
                return values[-1].node  # type: ignore[no-any-return]  # the value of the start rule is a part
    raise AssertionError("the grammar ends with $END")


class Part(NamedTuple):
    """A node with the stretch of text it takes, brackets around it included, and how deep it is."""

    node: Node
    start: int
    end: int
    depth: int


class _Element(NamedTuple):
    part: Part
    optional: bool


class _Entry(NamedTuple):
    start: int
    key: Part
    value: Part
    optional: bool


Items: TypeAlias = list[Any]
"""What a rule's parts have become: tokens, parts, or lists of them."""


class Builder:
    """Turns reductions into nodes. ``problems`` collects what macros and limits have to say."""

    def __init__(self, limits: Limits) -> None:
        self.problems: list[Problem] = []
        self._limits = limits
        self._rules: dict[str, Callable[[Items], Any]] = {
            "expr": self._conditional,
            "conditionalor": self._logic,
            "conditionaland": self._logic,
            "relation": self._operation,
            "addition": self._operation,
            "multiplication": self._operation,
            "unary": self._unary,
            "member_dot": self._select,
            "member_optional_dot": self._select,
            "member_index": self._index,
            "member_optional_index": self._index,
            "member_dot_arg": self._method,
            "member_object": self._message,
            "ident": self._name,
            "dot_ident": self._name,
            "ident_arg": self._function,
            "dot_ident_arg": self._function,
            "paren_expr": lambda items: Part(items[1].node, items[0].start, items[2].end, items[1].depth),
            "literal": self._literal,
            "list_lit": self._list,
            "map_lit": self._map,
            "optional_element": lambda items: _Element(items[1], True),
            "map_entry": lambda items: _Entry(items[0].start, items[0], items[2], False),
            "optional_entry": lambda items: _Entry(items[0].start, items[1], items[3], True),
        }

    def reduce(self, rule: str, items: Items) -> Any:
        """Make one value of the parts of a rule; rules that are not listed make lists."""
        build = self._rules.get(rule)
        return build(items) if build else _sequence(items)

    def report(self, code: str, message: str, extent: Extent, label: str = "", advice: str = "") -> None:
        self.problems.append(Problem(code, message, extent, label, advice))

    def _part(self, node: Node, *parts: Part, levels: int = 1) -> Part:
        """Wrap a new node whose children are ``parts``, unless that makes the tree too deep."""
        extent = node.extent
        depth = levels + max((part.depth for part in parts), default=0)
        if depth > self._limits.nesting:
            message = f"the expression is nested more than {self._limits.nesting} deep"
            problem = Problem("CL305", message, extent, "this part is too deep", "split the expression")
            raise ExpressionError((problem,))
        return Part(node, extent.start, extent.end, depth)

    def _literal(self, items: Items) -> Part:
        token = items[0]
        return self._part(Literal(Extent(token.start, token.end), token.value))

    def _name(self, items: Items) -> Part:
        dot = "." if len(items) == 2 else ""
        return self._part(Name(Extent(items[0].start, items[-1].end), dot + items[-1].value))

    def _conditional(self, items: Items) -> Part:
        condition, _, accepted, _, rejected = items
        extent = Extent(condition.start, rejected.end)
        return self._part(
            Conditional(extent, condition.node, accepted.node, rejected.node), condition, accepted, rejected
        )

    def _logic(self, items: Items) -> Part:
        left, sign, right = items
        extent = Extent(left.start, right.end)
        inner = left.node
        if isinstance(inner, Logic) and inner.operator == sign.value and inner.extent.start == left.start:
            node = Logic(extent, sign.value, (*inner.operands, right.node))
            return Part(node, left.start, right.end, max(left.depth, right.depth + 1))
        return self._part(Logic(extent, sign.value, (inner, right.node)), left, right)

    def _operation(self, items: Items) -> Part:
        (left, sign), right = items
        function = "@in" if sign.value == "in" else f"_{sign.value}_"
        sign_extent = Extent(sign.start, sign.end)
        node = Call(Extent(left.start, right.end), function, sign_extent, None, (left.node, right.node))
        return self._part(node, left, right)

    def _unary(self, items: Items) -> Part:
        sign, operand = items
        sign_extent = Extent(sign.start, sign.end)
        node = Call(Extent(sign.start, operand.end), f"{sign.value}_", sign_extent, None, (operand.node,))
        return self._part(node, operand)

    def _select(self, items: Items) -> Part:
        operand, name = items[0], items[-1]
        extent = Extent(operand.start, name.end)
        node = Select(extent, operand.node, name.value, Extent(name.start, name.end), optional=len(items) == 4)
        return self._part(node, operand)

    def _index(self, items: Items) -> Part:
        operand, key, bracket = items[0], items[-2], items[-1]
        node = Index(Extent(operand.start, bracket.end), operand.node, key.node, optional=len(items) == 5)
        return self._part(node, operand, key)

    def _method(self, items: Items) -> Part:
        return self._call(items[0], items[2].value, items[2], _contents(items, 4), items[-1])

    def _function(self, items: Items) -> Part:
        dot = items[0].terminal == "DOT"
        name = items[1] if dot else items[0]
        start = items[0] if dot else name
        return self._call(None, ("." if dot else "") + name.value, start, _contents(items, 3 if dot else 2), items[-1])

    def _call(self, target: Part | None, name: str, place: Token, arguments: Items, bracket: Token) -> Part:
        start = target.start if target else place.start
        extent, name_extent = Extent(start, bracket.end), Extent(place.start, place.start + len(name))
        self._count(arguments, "arguments", name_extent)
        parts = [*([target] if target else []), *arguments]
        nodes = tuple(argument.node for argument in arguments)
        use = Use(target.node if target else None, name, nodes, extent, name_extent, self.report)
        expansion = expand(use) or Expansion(Call(extent, name, name_extent, use.target, nodes))
        return self._part(expansion.node, *parts, levels=expansion.levels)

    def _list(self, items: Items) -> Part:
        extent = Extent(items[0].start, items[-1].end)
        elements = [item if isinstance(item, _Element) else _Element(item, False) for item in _contents(items, 1)]
        self._count(elements, "elements", extent)
        node = ListLiteral(
            extent, tuple(item.part.node for item in elements), tuple(item.optional for item in elements)
        )
        return self._part(node, *(item.part for item in elements))

    def _map(self, items: Items) -> Part:
        extent = Extent(items[0].start, items[-1].end)
        entries: list[_Entry] = _contents(items, 1)
        self._count(entries, "entries", extent)
        nodes = tuple(
            MapEntry(Extent(entry.start, entry.value.end), entry.key.node, entry.value.node, entry.optional)
            for entry in entries
        )
        parts = [part for entry in entries for part in (entry.key, entry.value)]
        return self._part(MapLiteral(extent, nodes), *parts)

    def _message(self, items: Items) -> Part:
        extent = Extent(items[0].start, items[-1].end)
        advice = 'write a map instead: `{"key": value}`'
        self.report("CL317", "protobuf messages are not supported", extent, "this builds a message", advice)
        return self._part(MapLiteral(extent, ()), items[0])

    def _count(self, found: Items, what: str, extent: Extent) -> None:
        if len(found) > self._limits.elements:
            message = f"at most {self._limits.elements:,} {what} are allowed, got {len(found):,}"
            self.report("CL305", message, extent, f"too many {what}")


def _sequence(items: Items) -> Items:
    """Flatten what a repeated rule yields: the list so far, commas, and the next part."""
    found: Items = items[0] if isinstance(items[0], list) else []
    for item in items:
        if isinstance(item, list):
            if item is not found:
                found.extend(item)
        elif not isinstance(item, Token) or item.terminal != "COMMA":
            found.append(item)
    return found


def _contents(items: Items, position: int) -> Items:
    """Return the parts between brackets, of which the first would stand at ``position``."""
    found = items[position]
    if isinstance(found, Token):
        return []
    return found if isinstance(found, list) else [found]


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
    """Report what is there, what could be, and what was probably meant."""
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
