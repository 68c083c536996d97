"""How large an expression may be, and how much it may take to evaluate at worst."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one expression.

    ``source``: code points of the whole text. ``nesting``: levels of brackets, and of the tree below one node; beyond
    about 200 Python's own recursion limit comes near. ``literal``: code points of one string or bytes literal;
    ``elements``: entries of one list or map, and arguments of one call. These four are reported as CL305.

    ``cost``: steps that one evaluation may take at worst, reported as CL319. A value whose greatest size nobody
    declared counts as a list of ``assumed_list`` elements, a map of ``assumed_map`` entries, or a text of
    ``assumed_text`` characters.
    """

    source: int = 16_384
    nesting: int = 100
    literal: int = 8_192
    elements: int = 1_024
    cost: int = 1_000_000
    assumed_list: int = 200
    assumed_map: int = 200
    assumed_text: int = 10_000


DEFAULT_LIMITS = Limits()
