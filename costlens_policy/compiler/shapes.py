"""Whole requests as they come: one generated function for each selection of attributes that requests make.

A service asks with the same few attributes again and again. For each such shape a function is generated that admits all
of their values, in half of the time that walking over them takes. It answers for requests in which everything is as it
should be; what is wrong with others is found by walking over them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.expressions import Value

__all__ = ["Shapes"]

Copy: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Value] | None]
"""Returns a request admitted, without defaults. Returns None, or raises ``ValueError``, for one to be walked over."""

_MOST: Final = 64
"""Shapes that are kept: more than the services of one policy set have."""


class Shapes(dict[tuple[str, ...], Copy]):
    """The functions by the names of the attributes, in the order of the request. Each is made when it first comes up;
    two threads may do so at once, to the same effect.
    """

    __slots__ = ("_attributes", "_required")

    def __init__(self, attributes: Mapping[str, RequestAttribute], required: Collection[str]) -> None:
        super().__init__()
        self._attributes = attributes
        self._required = frozenset(required)

    def __missing__(self, names: tuple[str, ...]) -> Copy:
        made = self._made(names)
        if len(self) < _MOST:
            self[names] = made
        return made

    def _made(self, names: tuple[str, ...]) -> Copy:
        given = frozenset(names)
        if len(self) >= _MOST or not self._required <= given <= self._attributes.keys() or given >= _EITHER:
            return _walked_over
        return _generated([self._attributes[name] for name in names])


_EITHER: Final = frozenset({"prompt", "messages"})
"""A request has one of these at most."""


def _walked_over(_: Mapping[str, Any]) -> None:
    """Admit nothing: there is something wrong with the names already."""


def _generated(attributes: list[RequestAttribute]) -> Copy:
    """Return a function of one line for each attribute, and one that makes the copy.

    That is, for the attribute ``team``: ``v0 = request["team"]``, ``if not (type(v0) is str): v0 = admit0(v0)``.
    """
    known: dict[str, Any] = {"inf": math.inf}
    lines = ["def copy(request):"]
    for index, attribute in enumerate(attributes):
        value = f"v{index}"
        known[f"admit{index}"], known[f"values{index}"] = attribute.admit, frozenset(attribute.values)
        lines.append(f"    {value} = request[{attribute.name!r}]")
        if attribute.check:
            lines.append(f"    if not ({attribute.check.format(value=value, values=f'values{index}')}):")
        else:
            lines += [f"    if {value} is None:", "        return None", "    else:"]
        lines.append(f"        {value} = admit{index}({value})")
    entries = ", ".join(f"{attribute.name!r}: v{index}" for index, attribute in enumerate(attributes))
    exec(compile("\n".join([*lines, f"    return {{{entries}}}"]), "<shape>", "exec"), known)
    copy: Copy = known["copy"]
    return copy
