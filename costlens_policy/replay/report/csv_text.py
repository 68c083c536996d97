"""Rows as CSV that a spreadsheet takes for texts and numbers, never for formulas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from costlens_policy.diagnostics.text import safe

__all__ = ["csv_text"]

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LINES: Final = ("\t", "\r", "\n")
_PARTS: Final = re.compile(r"([;\t\r\n])")
_QUOTED: Final = re.compile(r"[\",;\t\r\n]|^\s|\s$")
_STARTS: Final = ("=", "+", "-", "@", "|", "%")
_BEFORE: Final = " \t\r\n\"'\u00a0\u200b\u200c\u200d\u2060\u3000"


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return lines of CSV.

    A text that a spreadsheet could take for a formula begins with an apostrophe, which spreadsheets do not show, and so
    does what stands behind a semicolon, a tab or a line end, since these part cells elsewhere. Numbers stay numbers.
    """
    return "".join(f"{','.join(map(_cell, row))}\n" for row in rows)


def _cell(value: object) -> str:
    text = str(value)
    if not _NUMBER.fullmatch(text):
        text = "".join(map(_no_formula, _PARTS.split(text)))
        if text[:1] in _LINES:
            text = f"'{text}"
    text = safe(text)
    return '"{}"'.format(text.replace('"', '""')) if _QUOTED.search(text) else text


def _no_formula(text: str) -> str:
    """Return a text that begins no formula, be it behind blanks and quotes or in full-width signs."""
    start = unicodedata.normalize("NFKC", text.lstrip(_BEFORE)[:1])
    return f"'{text}" if start.startswith(_STARTS) and not _NUMBER.fullmatch(text) else text
