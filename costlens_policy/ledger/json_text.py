"""Facts as the text that stores keep."""

from __future__ import annotations

import json
from typing import Any, Final

from costlens_policy.ledger.errors import AmountError
from costlens_policy.ledger.holds import Facts

__all__ = ["facts_text", "facts_value", "json_text"]

_LONGEST: Final = 65_536
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def json_text(value: Any) -> str:
    """Return compact JSON of what the ledger itself has made."""
    return _ENCODE(value)


def facts_text(facts: Facts) -> str:
    """Return facts as JSON. Raises ``AmountError`` for what is not JSON, or longer than 64 KiB."""
    if not facts:
        return "{}"
    try:
        text = _ENCODE(facts)
        length = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise AmountError(f"facts are JSON data: {error}") from None
    if length > _LONGEST:
        raise AmountError(f"the facts of a call have at most {_LONGEST} bytes, not {length}")
    return text


def facts_value(text: str) -> dict[str, Any]:
    """Return the facts of a text."""
    value: dict[str, Any] = json.loads(text)
    return value
