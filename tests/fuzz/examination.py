"""What must hold of every text that is taken for an expression: lexer, parser, checker, compiler and evaluator."""

from __future__ import annotations

import math
from typing import Any, Final

from costlens_policy.expressions import (
    INT,
    STRING,
    Duration,
    Environment,
    ExpressionError,
    Field,
    Limits,
    Record,
    Timestamp,
    Type,
    TypedExpr,
    Uint,
    analyze,
    list_of,
    parse,
    parse_type,
    unchecked,
)
from costlens_policy.expressions.compile import compile_expression, compile_traced
from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.syntax.macros import MACRO_NAMES

__all__ = ["examine", "words"]

LIMITS: Final = Limits(source=2_000, nesting=40, cost=20_000, assumed_list=6, assumed_map=6, assumed_text=40)
RUN_LIMITS: Final = RunLimits(iterations=2_000)
_OUT_OF_WORK: Final = ("CL914", "CL915")

_VALUES: Final[dict[str, tuple[str, Any]]] = {
    "n": ("int", 7),
    "u": ("uint", Uint(7)),
    "d": ("double", 0.5),
    "s": ("string", "gpt-5 é\n"),
    "b": ("bool", True),
    "y": ("bytes", b"\xff\x00a"),
    "t": ("timestamp", Timestamp(1_790_000_000_123_456_789)),
    "r": ("duration", Duration(-5_400_000_000_000)),
    "l": ("list(int)", [3, 1, 2, 1]),
    "w": ("list(string)", ["chat", "", "code"]),
    "m": ("map(string, int)", {"a": 1, "b": -1}),
    "x": ("dyn", {"a": [1, 2.5, "x", None, {"b": True}], "b": "text"}),
}
_REQUEST: Final = Record(
    "request",
    {
        "team": Field(STRING, optional=True),
        "task": Field(STRING, values=("chat", "code")),
        "prompt_tokens": Field(INT),
        "tags": Field(list_of(STRING), optional=True),
    },
)
_ENVIRONMENT: Final = Environment(
    {**{name: parse_type(declared) for name, (declared, _) in _VALUES.items()}, "request": Type("request")},
    {"request": _REQUEST},
)
_PARAMETERS: Final = (*_VALUES, "request")
_ARGUMENTS: Final = (*(value for _, value in _VALUES.values()), {"task": "chat", "prompt_tokens": 100, "tags": ["a"]})


def examine(data: bytes) -> None:
    """Take bytes for an expression. Raises AssertionError where something does not hold, or whatever crashes."""
    text = data.decode("utf-8", "surrogateescape" if data[:1] == b"\xed" else "replace")
    analyzed = analyze(text, _ENVIRONMENT, limits=LIMITS)
    assert analyzed.typed is not None or any(problem.is_error for problem in analyzed.problems)
    for problem in analyzed.problems:
        assert 0 <= problem.extent.start <= problem.extent.end <= len(text)
        assert "\n" not in problem.message
    if analyzed.typed is not None:
        _evaluate(analyzed.typed)
    elif analyzed.worst is None:
        _evaluate_unchecked(text)


def _evaluate_unchecked(text: str) -> None:
    """What the checker refuses is an error or a value when evaluated, and nothing else."""
    try:
        root = parse(text, LIMITS)
    except ExpressionError:
        return
    _evaluate(unchecked(text, root, _ENVIRONMENT))


def _evaluate(typed: TypedExpr) -> None:
    """Evaluate the two forms of an expression, which must agree."""
    exact = compile_traced(typed, _PARAMETERS, limits=RUN_LIMITS)(*_ARGUMENTS).value
    try:
        fast = compile_expression(typed, _PARAMETERS, limits=RUN_LIMITS)(*_ARGUMENTS)
    except CelError as error:
        fast = error
    codes = [item.code if isinstance(item, CelError) else None for item in (fast, exact)]
    if not set(codes) & set(_OUT_OF_WORK):
        assert codes[0] == codes[1], (typed.source, fast, exact)
        assert codes[0] or _same(fast, exact), (typed.source, fast, exact)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return math.isnan(left) if math.isnan(right) else left == right
    return hasattr(left, "value") or bool(left == right)


def words() -> list[str]:
    """Return what expressions are made of, for whoever mutates them."""
    signs = [
        "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", "(", ")", "[", "]", "{",
        "}", ",", ".", ".?", "[?", "{?", "//", "`", "\\", "\\u00e9", "\\xff", "\\377", "'", '"', "'''", '"""', "r'",
        "b'", "in", "true", "false", "null", "0x1F", "1u", "1.5", ".5", "1e3", "9223372036854775807",
        "-9223372036854775808", "18446744073709551615u", "é", "\u2028", "'%s %.3f'", "'2026-01-01T00:00:00Z'",
        "'1h30m'", "'Europe/Berlin'", "'^a+$'", "'a*'", "'10.0.0.1'", "'10.0.0.0/8'",
    ]  # fmt: skip
    methods = [f".{name}(" for name in functions() if name.isidentifier()]
    calls = [f"{name}(" for name in functions() if name.replace(".", "").isalnum()]
    macros = [f"{'.' if '.' not in name else ''}{name}(" for name in sorted(MACRO_NAMES)]
    fields = [f"request.{name}" for name in _REQUEST.fields]
    return [*signs, *methods, *calls, *macros, *_PARAMETERS, *fields, "has(", "y, ", "k, v, "]
