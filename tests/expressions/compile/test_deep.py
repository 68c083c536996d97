"""Deep and long expressions compile and evaluate, or end in a clean error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from costlens_policy.expressions import BOOL, INT, Environment, list_of, parse, unchecked
from costlens_policy.expressions.compile import compile_expression, compile_first_match, compile_traced
from costlens_policy.expressions.runtime import CelError

_ENVIRONMENT = Environment({"b": BOOL, "i": INT, "l": list_of(INT)})
_PARAMETERS = ("b", "i", "l")
_VALUES = (True, 1, [1])
_LEVELS = 95

_DEEP: dict[str, tuple[str, Any]] = {
    "sum": ("i" + " + (i" * _LEVELS + ")" * _LEVELS, _LEVELS + 1),
    "negation": ("!" * _LEVELS + "b", False),
    "ternary": ("b ? i : " * _LEVELS + "i", 1),
    "condition": ("(" * _LEVELS + "b" + " ? b : b)" * _LEVELS, True),
    "list": ("size(" + "[" * _LEVELS + "i" + "]" * _LEVELS + ")", 1),
    "all": ("".join(f"l.all(v{level}, " for level in range(_LEVELS)) + "b" + ")" * _LEVELS, True),
    "map": ("size(" + "".join(f"l.map(v{level}, " for level in range(_LEVELS)) + "i" + ")" * _LEVELS + ")", 1),
    "chain": ("l" + "".join(f".map(v{level}, v{level} + 1)" for level in range(_LEVELS)) + " == [96]", True),
    "bind": ("".join(f"cel.bind(v{level}, i, " for level in range(_LEVELS)) + "i" + ")" * _LEVELS, 1),
}


@pytest.mark.parametrize("name", _DEEP)
def test_deep(name: str) -> None:
    text, expected = _DEEP[name]
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    assert compile_expression(typed, _PARAMETERS)(*_VALUES) == expected
    assert compile_traced(typed, _PARAMETERS)(*_VALUES).value == expected


def test_long_logic_is_flat() -> None:
    text = " || ".join(f"i == {index}" for index in range(2, 1_000)) + " || b"
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    assert compile_expression(typed, _PARAMETERS)(*_VALUES) is True
    assert compile_traced(typed, _PARAMETERS)(*_VALUES).value is True


def _at_the_bottom(frames_left: int, run: Callable[[], Any]) -> Any:
    """Call a function with only so many frames left before the recursion limit."""

    def descend(levels: int) -> Any:
        return run() if levels == 0 else descend(levels - 1)

    depth = 0
    frame = sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]  # None ends the loop
    return descend(sys.getrecursionlimit() - depth - frames_left)


@pytest.mark.parametrize("frames_left", [40, 120])
def test_no_room_left_on_the_stack(frames_left: int) -> None:
    text, _ = _DEEP["sum"]
    typed = unchecked(text, parse(text), Environment({}))
    evaluate = compile_expression(typed, ())
    with pytest.raises(CelError) as raised:
        _at_the_bottom(frames_left, evaluate)
    assert raised.value.code in ("CL913", "CL916")


def test_compiled_with_no_room_left() -> None:
    """What cannot be compiled there has its exact form, which is built when there is room again."""
    text, expected = _DEEP["sum"]
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    evaluate = _at_the_bottom(60, lambda: compile_expression(typed, _PARAMETERS))
    assert evaluate(*_VALUES) == expected


def test_first_match_of_deep_conditions() -> None:
    text, _ = _DEEP["condition"]
    typed = unchecked(text, parse(text), _ENVIRONMENT)
    for count in (3, 30):
        assert compile_first_match([typed] * count, _PARAMETERS)(*_VALUES) == 0
