"""E-mail addresses, with letters of the Latin, Greek and Cyrillic alphabets."""

from __future__ import annotations

from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, pattern

__all__ = ["EMAIL"]


_LETTERS: Final = r"\p{Latin}\p{Greek}\p{Cyrillic}"
"""Letters of scripts that put spaces between words; in others an address could not be told from the text around it."""


def _accept(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse the ``git@host:path`` of repositories, which names no person."""
    if data[start : start + 4] == b"git@" and data[end : end + 1] in (b":", b"/"):
        return None
    return start, end


EMAIL: Final = Detector(
    pattern(rf"[{_LETTERS}0-9_%+-][{_LETTERS}0-9_.%+'&~-]*@[{_LETTERS}0-9](?:[{_LETTERS}0-9.-]*)\.[{_LETTERS}]{{2,}}"),
    _accept,
    lengthy=True,
)
