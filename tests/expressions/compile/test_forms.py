"""The two forms of an expression agree: what the fast one returns is what the exact one does, error or value."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.expressions.compile import compile_expression, compile_traced
from costlens_policy.expressions.runtime import CelError
from tests.expressions.strategies import KINDS, PARAMETERS, bindings, expressions, typed


def same(left: Any, right: Any) -> bool:
    """Say whether two values are the same one, type and all; a NaN is itself, and zeros differ by their sign."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if type(left) is float and type(right) is float:
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("kind", [*KINDS, "dyn"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_forms_agree(kind: str, data: st.DataObject) -> None:
    expression = typed(data.draw(expressions(kind), label="expression"))
    bound = data.draw(bindings(), label="values")
    values = tuple(bound[name] for name in PARAMETERS)
    exact = compile_traced(expression, PARAMETERS)(*values).value
    evaluate = compile_expression(expression, PARAMETERS)
    if isinstance(exact, CelError):
        with pytest.raises(CelError) as raised:
            evaluate(*values)
        assert (raised.value.code, raised.value.extent) == (exact.code, exact.extent)
    else:
        assert same(evaluate(*values), exact)
