"""The kinds of documents there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from costlens_policy.documents.document import Document

__all__ = ["KINDS"]


class _Kinds(Mapping[str, type[Document]]):
    """Each type is imported when its kind is asked for: building one takes up to 40 ms, and few files hold them all."""

    def __getitem__(self, kind: str) -> type[Document]:
        found: type[Document] = getattr(import_module(f"costlens_policy.documents.{_MODULES[kind]}"), f"{kind}Document")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, kind: object) -> bool:
        return kind in _MODULES


_MODULES: Final = {
    "Policy": "policy",
    "PolicySet": "policy_set",
    "Catalogue": "catalogue",
    "Suite": "suite",
    "Workload": "workload",
}

KINDS: Final[Mapping[str, type[Document]]] = _Kinds()
"""Every kind of document by the word in its ``kind`` key."""
