"""Values of a difference as JSON-like data and as short texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from costlens_policy.testing.difference import ABSENT

__all__ = ["plain", "shown"]


def plain(value: Any) -> Any:
    """Return a value with only JSON's types in it. Exact numbers become strings, ``ABSENT`` becomes null."""
    if value is ABSENT:
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value


def shown(value: Any) -> str:
    """Return a value on one line: texts quoted, numbers in full, ``nothing`` for what is absent."""
    if value is ABSENT:
        return "nothing"
    if isinstance(value, Decimal):
        return _digits(value)
    return json.dumps(plain(value), ensure_ascii=False)


def _digits(value: Decimal) -> str:
    return f"{value.normalize():f}"
