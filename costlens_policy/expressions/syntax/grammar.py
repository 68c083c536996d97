"""cel-python's grammar as LALR tables.

lark analyzes the grammar, which takes 200 ms. So its tables are kept in ``tables.json`` together with the digest of the
grammar they were made from, and are used only while that is the grammar that cel-python ships; else lark runs again.
``python -m costlens_policy.expressions.syntax`` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from costlens_policy.frozen import frozen

__all__ = ["Action", "Reduction", "Tables", "analyze_grammar", "grammar_text", "store", "tables"]

_LEAVES = frozenset({"ident", "literal"})
_STORED = Path(__file__).with_name("tables.json")


@frozen
class Reduction:
    """A rule to apply: ``size`` values become one. ``name`` is the rule's in the grammar.

    Most rules of one part exist for precedence only; those do not ``build``: the value stays as it is.
    """

    name: str
    size: int
    builds: bool


Action: TypeAlias = int | Reduction
"""In a state: the state to go to, or the rule to apply first."""


@frozen
class Tables:
    """``states[state][terminal or rule]`` is what to do; state 0 is the first, ``end`` the last.

    ``signs`` names the terminal of each operator and bracket.
    """

    states: tuple[Mapping[str, Action], ...]
    end: int
    signs: Mapping[str, str]
    _settled: dict[tuple[int, str, str], int] = field(default_factory=dict, repr=False, compare=False)

    def after(self, below: int, rule: str, terminal: str) -> int:
        """Return the state that follows once a rule is applied on top of ``below`` and ``terminal`` is next.

        Rules that build nothing are applied on the way: nine of them lie between a name and an expression.
        """
        key = (below, rule, terminal)
        state = self._settled.get(key)
        if state is None:
            state = self._settled[key] = self._settle(below, rule, terminal)
        return state

    def _settle(self, below: int, rule: str, terminal: str) -> int:
        while True:
            state = self.states[below][rule]
            assert isinstance(state, int), "a rule leads to a state"
            action = self.states[state].get(terminal)
            if not isinstance(action, Reduction) or action.builds:
                return state
            rule = action.name


@cache
def tables() -> Tables:
    """Return the tables of the grammar that is installed."""
    grammar = grammar_text()
    stored = json.loads(_STORED.read_text(encoding="utf-8"))
    if stored["digest"] != _digest(grammar):
        stored = analyze_grammar(grammar)
    rules = tuple(Reduction(name, size, size > 1 or name in _LEAVES) for name, size in stored["rules"])
    states = tuple(
        {name: rules[-1 - number] if number < 0 else number for name, number in state.items()}
        for state in stored["states"]
    )
    return Tables(states, stored["end"], stored["signs"])


def store() -> None:
    """Write the tables of the grammar that is installed beside this file."""
    analyzed = json.dumps(analyze_grammar(grammar_text()), sort_keys=True, separators=(",", ":"))
    _STORED.write_text(analyzed + "\n", encoding="utf-8")


def grammar_text() -> str:
    """Return ``cel.lark`` as cel-python ships it, with our additions; cel-python is not imported for it (90 ms)."""
    package = find_spec("celpy")
    if package is None or not package.submodule_search_locations:
        raise ImportError("cel-python is not installed")
    theirs = Path(package.submodule_search_locations[0], "cel.lark").read_text(encoding="utf-8")
    return theirs + Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")


def analyze_grammar(grammar: str) -> dict[str, Any]:
    """Let lark analyze a grammar, and number its states and rules in the order in which they are reached."""
    parsed = _lark(grammar)
    table = parsed.parser.parser._parse_table
    numbers = {table.start_states["expr"]: 0}
    rules: dict[tuple[str, int], int] = {}
    states: list[dict[str, int]] = []
    waiting = list(numbers)
    for state in waiting:
        states.append(actions := {})
        for name, (_, argument) in sorted(table.states[state].items()):
            if argument in table.states:
                if argument not in numbers:
                    numbers[argument] = len(numbers)
                    waiting.append(argument)
                actions[name] = numbers[argument]
            else:
                actions[name] = -1 - rules.setdefault((argument.origin.name, len(argument.expansion)), len(rules))
    return {
        "digest": _digest(grammar),
        "end": numbers[table.end_states["expr"]],
        "rules": [list(rule) for rule in rules],
        "signs": {item.pattern.value: item.name for item in parsed.terminals if item.pattern.type == "str"},
        "states": states,
    }


def _lark(grammar: str) -> Any:
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Stands in for ours, which feeds the tables itself."""

        def __init__(self, _configuration: Any) -> None: ...

        def lex(self, lexer_state: Any, parser_state: Any) -> Any: ...

    return Lark(grammar, parser="lalr", lexer=NoLexer, start="expr", maybe_placeholders=False)


def _digest(grammar: str) -> str:
    return sha256(grammar.encode()).hexdigest()
