"""How many examples random tests try: few in `make test`, many where ``COSTLENS_SOAK`` is set."""

from __future__ import annotations

import os

__all__ = ["examples"]


def examples(few: int) -> int:
    """Return how many examples to try, of which ``few`` are enough between two commits."""
    return few * 20 if os.environ.get("COSTLENS_SOAK") else few
