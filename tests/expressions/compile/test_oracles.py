"""Other implementations agree with ours on random expressions, or the specification says why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError
from tests.expressions.oracles import ERROR, REFUSED, Answer, answer_of, ask_cel_cpp, ask_cel_python
from tests.expressions.strategies import KINDS, PARAMETERS, bindings, expressions, typed

_CPP: Final = {
    r"cel\.bind": "extension Bindings; in cel-cpp a comprehension before it can leave its own variable's value there",
    r"string\({timestamp}": "langdef, string(timestamp): RFC 3339; cel-cpp pads fractions to 3, 6 or 9 digits",
    r"(int|double)\({string}": "langdef, int(string): a numeral and nothing else; cel-cpp allows white space around it",
    r"ms\.map": "langdef, Aggregate Values: a map's entries have no order; cel-cpp's is that of a hash table",
    r"{dyn} in mi": "langdef, `in`: no key equals a value that cannot be one, so it is not there; in cel-cpp an error",
}
"""What is not asked of cel-cpp, and what the specification says of it."""

_PYTHON: Final = {
    r"cel\.bind|optional|[.[]\?": "extensions Bindings and Optionals, which cel-python does not have",
    r"timestamp\({|literal timestamp": "langdef, timestamp(int): seconds since 1970; cel-python takes text only",
    r"string\({(bool|timestamp)": "langdef, string(bool): `true`; cel-python answers `True`, and drops fractions",
    r"(bool|int|double)\({string}": "langdef, bool(string): `true`, `false` and such only; cel-python takes any text",
    r"{string} \+": "langdef, Functions: a concatenated string has the methods of one; in cel-python it has not",
    r"{int} %": "langdef, Overflow: the remainder of -2**63 by -1 is an error; in cel-python it is 0",
    r"has\(x": "langdef, Field Selection: has() of what is no map is an error; cel-python answers false",
    r"dyn|null": "langdef, Equality: values of different types are unequal; in cel-python an error",
    r"uint": "langdef, Ordering: numbers compare across types; not in cel-python",
    r"double} ([</]|>=)|} < {double": "langdef, Ordering: as above; and 1.0 / -0.0 is -Infinity, not so in cel-python",
    r"duration": "langdef, Overflow: a duration beyond 64 bits of nanoseconds is an error; not in cel-python",
    r"\.map\(\$int, {bool}": "langdef, Macros: map with a filter; cel-python has only the map without one",
    r"\[{int}\]": "langdef, Lists: an index is not negative; cel-python counts from the end",
    r"int\({timestamp}": "langdef, int(timestamp): whole seconds, rounded down; cel-python cuts towards 1970",
}
"""What is not asked of cel-python, and what the specification says of it."""


@pytest.mark.parametrize(
    ("kind", "ask", "without"),
    [
        *((kind, ask_cel_cpp, _CPP) for kind in KINDS),
        *((kind, ask_cel_python, _PYTHON) for kind in KINDS if kind not in ("uint", "duration")),
    ],
)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_oracle_agrees(
    kind: str, ask: Callable[[str, dict[str, Any]], Answer], without: dict[str, str], data: st.DataObject
) -> None:
    text = data.draw(expressions(kind, without=tuple(without)), label="expression")
    evaluate = compile_expression(typed(text), PARAMETERS)
    bound = data.draw(bindings(), label="values")
    theirs = ask(text, bound)
    assume(theirs != REFUSED)
    try:
        ours = answer_of(evaluate(*(bound[name] for name in PARAMETERS)))
    except CelError:
        ours = ERROR
    assert ours == theirs
