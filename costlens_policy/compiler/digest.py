"""The digest of a policy set: equal for equal rules, whatever their formatting, comments, key order or file names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from costlens_policy.documents.document import Document

__all__ = ["digest_documents"]


def digest_documents(documents: Iterable[Document]) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of documents in order."""
    content = [document.model_dump(mode="json", by_alias=True) for document in documents]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
