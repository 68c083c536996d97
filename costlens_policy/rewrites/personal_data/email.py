"""E-mail addresses, with letters of the Latin, Greek and Cyrillic alphabets."""

from __future__ import annotations

from typing import Final

from costlens_policy.rewrites.personal_data.detector import Detector, Extent, pattern

__all__ = ["EMAIL", "EMAIL_SPELLED"]


_LETTERS: Final = r"\p{Latin}\p{Greek}\p{Cyrillic}"
"""Letters of scripts that put spaces between words; in others an address could not be told from the text around it."""


_AT: Final = r"[\[({<]\s{0,3}(?:at|\x{e4}t|@)\s{0,3}[\])}>]"
_DOT: Final = r"[\[({<]\s{0,3}(?:dot|punkt|punto|point|ponto|\.)\s{0,3}[\])}>]"
"""How people write the signs of an address that no program shall read."""


def _accept(data: bytes, start: int, end: int) -> Extent | None:
    """Refuse the ``git@host:path`` of repositories, which names no person."""
    if data[start : start + 4] == b"git@" and data[end : end + 1] in (b":", b"/"):
        return None
    return start, end


_LOCAL: Final = rf"[{_LETTERS}0-9_%+-][{_LETTERS}0-9_.%+'&~-]*"
_LABEL: Final = rf"[{_LETTERS}0-9][{_LETTERS}0-9-]*"
_NEXT: Final = rf"(?:\.|\s{{0,3}}{_DOT}\s{{0,3}})"

EMAIL: Final = Detector(
    pattern(rf"[{_LETTERS}0-9_%+-][{_LETTERS}0-9_.%+'&~-]*@[{_LETTERS}0-9](?:[{_LETTERS}0-9.-]*)\.[{_LETTERS}]{{2,}}"),
    _accept,
    lengthy=True,
)

EMAIL_SPELLED: Final = Detector(
    pattern(
        rf"(?i){_LOCAL}\s{{0,3}}{_AT}\s{{0,3}}{_LABEL}(?:{_NEXT}{_LABEL})*{_NEXT}[{_LETTERS}]{{2,}}"
        rf"|{_LOCAL}@{_LABEL}(?:\.{_LABEL})*\s{{0,3}}{_DOT}\s{{0,3}}(?:{_LABEL}{_NEXT})*[{_LETTERS}]{{2,}}"
    ),
    lengthy=True,
)
"""Addresses such as ``bob [at] example (dot) com``."""
