"""The table of functions: complete, and right for arguments of any kinds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from pathlib import Path
from types import NoneType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.expressions import Duration, Timestamp, Uint, errors
from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.limits import Work
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.runtime.functions import IMPLEMENTATIONS, dispatcher, implementation, searches
from costlens_policy.expressions.values import NO_VALUE, BoolKey, OptionalValue
from tests.expressions.runtime.evaluating import evaluate

_OPERATORS: Final = frozenset(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"))
"""Those that compare any two values look at the kinds themselves."""

_SECRET: Final = "s3cr3t-v4lu3"
_SCALARS: Final = (None, True, 0, -1, 5, 2**63 - 1, Uint(3), 1.5, 1e300, float("nan"), float("inf"))
_TEXTS: Final = ("", _SECRET, "[", "%s", "10.0.0.0/8", "1.2.3.4", "UTC", "x" * 300, b"", b"\xff")
_OTHERS: Final = (Timestamp(0), Duration(1), NO_VALUE, OptionalValue(1), ip_address("::1"), ip_interface("::1/64"))
_LISTS: Final = ([], [1, "a"], [_SECRET], ["a", "b"], [[1], [2]], [NO_VALUE])
_MAPS: Final = ({}, {_SECRET: _SECRET}, {1: 2}, {BoolKey(True): []})
_VALUES: Final = st.sampled_from((*_SCALARS, *_TEXTS, *_OTHERS, *_LISTS, *_MAPS))


def test_every_declared_overload_is_implemented() -> None:
    declared = {
        overload.id
        for function in functions().values()
        for overload in function.overloads
        if function.name not in _OPERATORS
    }
    assert all(map(implementation, declared))
    assert declared == set(IMPLEMENTATIONS)


@pytest.mark.parametrize("name", sorted(functions()))
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_arguments_give_a_value_or_a_clean_error(name: str, data: st.DataObject) -> None:
    """Whatever the values, nothing but CelError is raised, with a known code and no value in its message."""
    lengths = sorted({len(overload.parameters) for overload in functions()[name].overloads})
    arguments = [data.draw(_VALUES) for _ in range(data.draw(st.sampled_from(lengths)))]
    function = dispatcher(name, tuple(overload.id for overload in functions()[name].overloads))
    account = [Work()] if searches(name) else []
    error = _error(lambda: function(*arguments, *account))
    if error is not None:
        assert error.code in CODES
        assert _SECRET not in str(error)
        assert str(error)[0].islower() or str(error)[0] in "`%"
        assert not str(error).endswith(".")


def _error(run: Callable[[], Any]) -> CelError | None:
    try:
        run()
    except CelError as error:
        return error
    return None


def test_every_code_of_the_run_time_is_declared_and_explained() -> None:
    codes = {value for value in vars(errors).values() if isinstance(value, str) and re.fullmatch(r"CL9\d\d", value)}
    pages = Path(__file__).resolve().parents[3] / "docs" / "codes"
    for code in codes:
        assert (pages / f"{code}.md").read_text(encoding="utf-8").startswith(f"# {code}: {CODES[code].title}\n")


@pytest.mark.parametrize(("left", "right"), list(itertools.product([1, 1.5, "a", None, [1], {"a": 1}], repeat=2)))
def test_dispatch_is_by_value(left: Any, right: Any) -> None:
    """A dyn operand finds the overload that its value asks for, or none."""
    error = _error(lambda: evaluate("x + y", x=left, y=right))
    if type(left) is type(right) and not isinstance(left, dict | NoneType):
        assert error is None
    else:
        assert error is not None
        assert error.code == "CL901"
