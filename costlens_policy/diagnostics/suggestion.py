"""The known name that is closest to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "listed", "nearest"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to ``name``, ignoring case; None if none is close."""
    from difflib import get_close_matches  # not on the way to a decision

    by_folded = {_folded(item): item for item in sorted(known)}
    near = get_close_matches(_folded(name[:200]), by_folded, n=1, cutoff=0.7)
    return by_folded[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean `model`?`` for the closest known name, or an empty string if none is close."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near is not None else ""


def listed(names: Iterable[str], last: str = "and", most: int = 12) -> str:
    """Return names in backticks as a sentence lists them: `` `a`, `b` and `c` ``; the rest becomes a number."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > most:
        quoted[most - 1 :] = [f"{len(quoted) - most + 1} more"]
        last = "and"
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}" if quoted else ""


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")
