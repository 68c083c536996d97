"""Which of many conditions another one implies, without trying them all."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from costlens_policy.checker.conditions.condition import Condition, Domain, Finite, Form

__all__ = ["Cover"]

T = TypeVar("T")


class Cover(Generic[T]):
    """Items with the conditions under which they hold.

    Each condition is kept under one of its parts, the most telling one: where that part allows few values, under each
    of them. What a condition implies can then only be found under its own parts.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Condition, T]] = []
        self._always: list[int] = []
        self._by_value: dict[tuple[Form, Hashable], list[int]] = {}
        self._by_form: dict[Form, list[int]] = {}

    def add(self, condition: Condition, item: T) -> None:
        place = len(self._kept)
        self._kept.append((condition, item))
        if not condition.parts:
            self._always.append(place)
            return
        form, domain = min(condition.parts.items(), key=self._crowd)
        if isinstance(domain, Finite):
            for value in domain.values:
                self._by_value.setdefault((form, value), []).append(place)
        else:
            self._by_form.setdefault(form, []).append(place)

    def first(self, condition: Condition) -> T | None:
        """Return the first item that holds wherever the condition does, or None."""
        for place in sorted(self._candidates(condition)):
            kept, item = self._kept[place]
            if condition.implies(kept):
                return item
        return None

    def _crowd(self, part: tuple[Form, Domain]) -> int:
        """Return how many others already stand where a part would be kept; what allows many values comes last."""
        form, domain = part
        if isinstance(domain, Finite) and len(domain.values) <= 64:
            return max((len(self._by_value.get((form, value), ())) for value in domain.values), default=0)
        return 1 + len(self._kept)

    def _candidates(self, condition: Condition) -> Iterator[int]:
        yield from self._always
        for form, domain in condition.parts.items():
            yield from self._by_form.get(form, ())
            if isinstance(domain, Finite) and domain.values:
                yield from self._by_value.get((form, next(iter(domain.values))), ())
