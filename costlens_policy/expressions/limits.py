"""How large an expression may be. Each limit is reported as CL305."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """``source``: code points of the whole text. ``nesting``: levels of brackets, and of the tree below one node.

    ``literal``: code points of one string or bytes literal; ``elements``: entries of one list or map, and
    arguments of one call. Beyond about 200 levels Python's own recursion limit comes near.
    """

    source: int = 16_384
    nesting: int = 100
    literal: int = 8_192
    elements: int = 1_024


DEFAULT_LIMITS = Limits()
