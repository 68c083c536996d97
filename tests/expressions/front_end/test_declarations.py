"""The table of functions: complete in itself, and free of doubles."""

from __future__ import annotations

from collections import Counter

from costlens_policy.expressions.checking.unification import is_parameter
from costlens_policy.expressions.functions import TYPE_NAMES, functions
from costlens_policy.expressions.types import Type


def test_no_overload_is_declared_twice() -> None:
    ids = Counter(overload.id for function in functions().values() for overload in function.overloads)
    assert [name for name, count in ids.items() if count > 1] == []


def test_every_function_says_what_it_does() -> None:
    assert [name for name, function in functions().items() if not function.description] == []


def test_signatures_use_known_types_only() -> None:
    known = {"dyn", "request", *(declared.name for declared in TYPE_NAMES.values())}

    def unknown(item: Type) -> set[str]:
        inner = set().union(*map(unknown, item.parameters))
        return inner if is_parameter(item) or item.name in known else inner | {item.name}

    for function in functions().values():
        for overload in function.overloads:
            assert not set().union(*map(unknown, (*overload.parameters, overload.result))), overload


def test_a_method_has_a_target() -> None:
    overloads = [overload for function in functions().values() for overload in function.overloads]
    assert all(overload.parameters for overload in overloads if overload.member)
