"""What each expression of a document may name, with types."""

from __future__ import annotations

from collections.abc import Iterable

from costlens_policy.checker.attributes import BUDGET, ESTIMATE, ROOT_TYPES
from costlens_policy.expressions import Environment, Field, Record, Type
from costlens_policy.expressions.shapes import Shape
from costlens_policy.expressions.types import UNKNOWN

__all__ = ["Environments"]


class Environments:
    """Environments of one document by the roots that a field may name.

    A variable is of type ``UNKNOWN`` until it is learnt, and stays so when it cannot be typed: what reads it is
    then left in peace.
    """

    def __init__(self, request: Record, model: Record, variables: Iterable[str]) -> None:
        self._fields = dict.fromkeys(variables, Field(UNKNOWN))
        own = Record("variables", self._fields)
        self._records = {record.name: record for record in (request, model, own, ESTIMATE, BUDGET)}
        self._made: dict[tuple[str, ...], Environment] = {}

    def of(self, roots: tuple[str, ...]) -> Environment:
        """Return the environment of a field; equal roots give the same object."""
        if roots not in self._made:
            self._made[roots] = Environment({root: ROOT_TYPES[root] for root in roots}, self._records)
        return self._made[roots]

    def learn(self, variable: str, found: Type, shape: Shape | None) -> None:
        """Note the type of a variable and how large it can be, for all environments."""
        self._fields[variable] = Field(found, shape=shape)
