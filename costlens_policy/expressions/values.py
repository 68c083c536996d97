"""What CEL values are in Python.

====================  =====================================================================
null, bool, string    ``None``, ``bool``, ``str``
int, uint             ``int``, ``Uint`` (an ``int`` that remembers that it is unsigned)
double, bytes         ``float``, ``bytes``
list, map             ``list`` or ``tuple``, ``dict``; a key that is a bool stands as ``BoolKey``
timestamp, duration   ``Timestamp``, ``Duration``: whole nanoseconds, as the specification counts them
type                  ``Type`` without parameters
optional              ``OptionalValue``, or ``NO_VALUE``
net.IP, net.CIDR      an address or an interface of the standard library's ``ipaddress``
record                ``dict`` with the names of its present fields as keys
====================  =====================================================================

``True == 1`` in Python and not in CEL: code that does not know its types goes through ``runtime.equals``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from costlens_policy.frozen import frozen

__all__ = ["NO_VALUE", "BoolKey", "Duration", "OptionalValue", "Timestamp", "Uint", "Value"]

Value: TypeAlias = Any
"""A CEL value as listed above. Python has no type for "these and nothing else, nested"."""


class Uint(int):
    """An unsigned 64-bit integer; arithmetic on it goes through the run time, which checks the range."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


@frozen(order=True)
class Duration:
    """A signed length of time in nanoseconds."""

    nanoseconds: int


@frozen(order=True)
class Timestamp:
    """An instant: nanoseconds since 1970-01-01T00:00:00Z, from year 1 to year 9999."""

    nanoseconds: int


@frozen
class BoolKey:
    """The key ``true`` or ``false`` of a map: as ``True`` it would be one key with ``1`` to a Python dict."""

    value: bool


@frozen(eq=False)
class OptionalValue:
    """A value that is there, though it need not have been; see ``NO_VALUE``. Equality is the run time's."""

    value: Value


NO_VALUE = OptionalValue(None)
"""The one optional without a value, ``optional.none()``; told apart by identity."""
