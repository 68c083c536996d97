"""Options of a ledger's URL."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from costlens_policy.ledger.errors import LedgerError

__all__ = ["ledger_name", "number_of", "seconds_of", "take_options"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def take_options(url: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return the URL without the options that are the ledger's own, and those. Other options stay in the URL."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    rest = urlencode([(name, value) for name, value in options if name not in known])
    return parts._replace(query=rest).geturl(), {name: value for name, value in options if name in known}


def seconds_of(text: str) -> float:
    """Return the value of an option that is a length of time in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 3600:
        raise LedgerError(f"`timeout` must be a number of seconds up to 3600, such as `5`, got `{text}`")
    return seconds


def number_of(name: str, text: str) -> int:
    """Return the value of an option that is a whole number above zero."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 10**12:
        raise LedgerError(f"`{name}` must be a positive whole number, got `{text}`")
    return int(text)


def ledger_name(text: str) -> str:
    """Return the value of an option that names a ledger."""
    if not _NAME.fullmatch(text):
        raise LedgerError(
            f"`ledger` must be a letter and up to 39 more lower-case letters, digits and `_`, got `{text}`"
        )
    return text
