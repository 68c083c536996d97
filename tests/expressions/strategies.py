"""Random expressions that are well-typed, as text, and values for the variables they read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any, Final

from hypothesis import assume
from hypothesis import strategies as st

from costlens_policy.expressions import (
    INT,
    STRING,
    Duration,
    Environment,
    Field,
    Limits,
    Record,
    Timestamp,
    Type,
    TypedExpr,
    Uint,
    analyze,
    parse_type,
)
from costlens_policy.expressions.runtime.times import TIMESTAMP_MAX, TIMESTAMP_MIN
from tests.expressions.templates import TEMPLATES

__all__ = ["ENVIRONMENT", "KINDS", "PARAMETERS", "VARIABLES", "bindings", "expressions", "typed"]

_Draw = Callable[[st.SearchStrategy[Any]], Any]

VARIABLES: Final = {
    "i": "int",
    "j": "int",
    "u": "uint",
    "d": "double",
    "e": "double",
    "s": "string",
    "z": "string",
    "b": "bool",
    "y": "bytes",
    "t": "timestamp",
    "r": "duration",
    "li": "list(int)",
    "ls": "list(string)",
    "ld": "list(double)",
    "ms": "map(string, int)",
    "mi": "map(int, string)",
    "x": "dyn",
    "xs": "list(dyn)",
}
"""What an expression may read, and its declared type."""

PARAMETERS: Final = (*VARIABLES, "request")
_REQUEST: Final = Record("request", {"team": Field(STRING), "tokens": Field(INT), "tier": Field(STRING, optional=True)})
ENVIRONMENT: Final = Environment(
    {**{name: parse_type(text) for name, text in VARIABLES.items()}, "request": Type("request")}, {"request": _REQUEST}
)
KINDS: Final = (
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "timestamp",
    "duration",
    "list(int)",
    "list(string)",
)

_LIMITS: Final = Limits(cost=10**18)
_FAILING_LITERALS: Final = frozenset(("CL306", "CL311", "CL312"))

_INTS: Final = (0, 1, -1, 2, 3, 7, 10, -5, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**62)
_UINTS: Final = (0, 1, 2, 5, 10, 2**53 + 1, 2**63, 2**64 - 1)
_DOUBLES: Final = (
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    3.0,
    1e10,
    2.0**53,
    2.0**63,
    1.8e308,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
)
_STRINGS: Final = ("", "a", "b", "ab", "aab", "gpt-5", "é", "😀", "A", "10", "-3", "1.5", "true", " a ", "a.b", "\n")
_BYTES: Final = (b"", b"a", b"ab", b"\xff", "é".encode())
_TIMES: Final = (0, TIMESTAMP_MIN // 1000, TIMESTAMP_MAX // 1000, 1_234_567_890_123_456)
_LENGTHS: Final = (0, 1, -1, 1_500_000, -90_000_000, 3_600_000_000, 9_000_000_000_000_000)
_SECOND: Final = 10**9


_VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "int": st.sampled_from(_INTS) | st.integers(-20, 20),
    "uint": (st.sampled_from(_UINTS) | st.integers(0, 20)).map(Uint),
    "double": st.sampled_from(_DOUBLES) | st.floats(-100, 100, width=16),
    "string": st.sampled_from(_STRINGS),
    "bool": st.booleans(),
    "bytes": st.sampled_from(_BYTES),
    "null": st.none(),
    "timestamp": (st.sampled_from(_TIMES) | st.integers(-(10**12), 4 * 10**15)).map(lambda us: Timestamp(us * 1000)),
    "duration": (st.sampled_from(_LENGTHS) | st.integers(-(10**9), 10**9)).map(lambda us: Duration(us * 1000)),
}


def _plain_values() -> st.SearchStrategy[Any]:
    """Values of unknown type. Uints are left out: a plain Python int, which the oracles are given, is an int."""
    scalars = st.one_of(*(_VALUES[kind] for kind in ("int", "double", "string", "bool", "null", "bytes")))
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_VALUES["string"], inner, max_size=2),
        max_leaves=4,
    )


def bindings() -> st.SearchStrategy[dict[str, Any]]:
    """Return values for every variable."""
    request = st.fixed_dictionaries(
        {"team": _VALUES["string"], "tokens": _VALUES["int"]}, optional={"tier": _VALUES["string"]}
    )
    return st.fixed_dictionaries({**{name: _value(kind) for name, kind in VARIABLES.items()}, "request": request})


def _value(kind: str) -> st.SearchStrategy[Any]:
    if kind == "dyn":
        return _plain_values()
    if kind.startswith("list"):
        return st.lists(_value(kind[5:-1]), max_size=4)
    if kind.startswith("map"):
        key, value = kind[4:-1].split(", ")
        return st.dictionaries(_value(key), _value(value), max_size=3)
    # The oracles are given datetimes, and lose their way at the ends of what these can hold.
    return (
        st.integers(0, 10**10).map(lambda seconds: Timestamp(seconds * 10**6)) if kind == "timestamp" else _VALUES[kind]
    )


@st.composite
def expressions(draw: _Draw, kind: str, depth: int = 3, without: Collection[str] = ()) -> str:
    """Return the text of an expression of a type among ``KINDS`` (or ``dyn``).

    ``without`` are regular expressions: templates, variables (``t: timestamp``) and literals (``literal timestamp``)
    in which one is found are not used.
    """
    return _Writer(draw, without).write(kind, depth)


def typed(text: str) -> TypedExpr:
    """Type a written expression; one in which the checker finds a literal that always fails is drawn anew."""
    analyzed = analyze(text, ENVIRONMENT, limits=_LIMITS)
    codes = {problem.code for problem in analyzed.problems if problem.is_error}
    assume(not codes & _FAILING_LITERALS)
    assert analyzed.typed is not None, (text, analyzed.problems)
    return analyzed.typed


class _Writer:
    """Writes one expression. ``scope`` holds the variables that are bound where it stands, by type."""

    def __init__(self, draw: _Draw, without: Collection[str]) -> None:
        self._draw = draw
        self._without = re.compile("|".join(without) or "(?!)")
        self._scope = {name: kind for name, kind in VARIABLES.items() if self._is_used(f"{name}: {kind}")}
        self._bound = 0

    def _is_used(self, text: str) -> bool:
        return not self._without.search(text)

    def write(self, kind: str, depth: int) -> str:
        if depth <= 0 or self._draw(st.integers(0, 9)) == 0:
            return self._leaf(kind)
        templates = [*TEMPLATES[kind], "({bool} ? {} : {})", "cel.bind"]
        template = self._draw(st.sampled_from([template for template in templates if self._is_used(template)]))
        return self._bind(kind, depth - 1) if template == "cel.bind" else self._fill(template, kind, depth - 1)

    def _leaf(self, kind: str) -> str:
        names = [name for name, declared in self._scope.items() if declared == kind]
        if names and (self._draw(st.integers(0, 3)) or not self._is_used(f"literal {kind}")):
            return self._draw(st.sampled_from(names))
        return self._literal(kind)

    def _literal(self, kind: str) -> str:
        if kind.startswith("list"):
            return f"[{', '.join(self._literal(kind[5:-1]) for _ in range(self._draw(st.integers(0, 3))))}]"
        if kind.startswith("map"):
            return self._draw(st.sampled_from([name for name, declared in VARIABLES.items() if declared == kind]))
        if kind == "dyn":
            return f"dyn({self._literal(self._draw(st.sampled_from(('int', 'double', 'string', 'bool'))))})"
        return literal(self._draw(_VALUES[kind]))

    def _fill(self, template: str, kind: str, depth: int) -> str:
        """Replace what stands in braces by expressions of these types; see ``templates``."""
        if template.startswith("@"):
            return self._macro(template[1:], depth)
        parts = template.split("{")
        written = parts[0]
        for part in parts[1:]:
            inner, rest = part.split("}", 1)
            written += self.write(inner or kind, depth) + rest
        return written

    def _macro(self, template: str, depth: int) -> str:
        """Write ``{list(int)}.all($int, {bool})``: ``$int`` binds a new variable of that type in what follows."""
        before, rest = template.split("$", 1)
        declared, after = rest.split(",", 1)
        start = self._fill(before, "", depth)
        variable, body = self._within(declared, lambda: self._fill(after, "", depth))
        return f"{start}{variable},{body}"

    def _bind(self, kind: str, depth: int) -> str:
        declared = self._draw(st.sampled_from(("int", "string", "bool", "list(int)")))
        value = self.write(declared, depth)
        variable, body = self._within(declared, lambda: self.write(kind, depth))
        return f"cel.bind({variable}, {value}, {body})"

    def _within(self, declared: str, write: Callable[[], str]) -> tuple[str, str]:
        """Write something in which a new variable is bound; return its name and what was written."""
        variable = f"v{self._bound}"
        self._bound += 1
        outer, self._scope = self._scope, {**self._scope, variable: declared}
        body = write()
        self._scope = outer
        return variable, body


def literal(value: Any) -> str:
    """Write a value as an expression."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Uint():
            return f"{int(value)}u"
        case float():
            return repr(value) if math.isfinite(value) else f"double('{value}')"
        case str():
            escaped = "".join(f"\\U{ord(sign):08x}" if not sign.isalnum() else sign for sign in value)
            return f'"{escaped}"'
        case bytes():
            return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
        case Timestamp():
            return f"timestamp({value.nanoseconds // _SECOND})"
        case Duration():
            return f"duration('{value.nanoseconds // 1000}us')"
    return str(value)
