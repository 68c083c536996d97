"""The digest of a policy set: equal for equal rules, whatever their formatting, comments, key order or file names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.documents.document import Document
from costlens_policy.money import plain

__all__ = ["digest_documents"]

_FILE_NAMES: Final = {"policies", "catalogues"}
"""Keys that only say where to find the documents; what is in them is part of the digests."""


def digest_documents(policy_set: Document, policies: Iterable[Document]) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of a policy set and its policies in order."""
    content = [policy_set.model_dump(by_alias=True, exclude=_FILE_NAMES)]
    content += [policy.model_dump(by_alias=True) for policy in policies]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_text)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _text(value: Any) -> str:
    """Return the one text of equal numbers, days and moments."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a document holds no {type(value).__name__}")
