"""The schemas by the words that people type for them."""

from __future__ import annotations

from costlens_policy.schema import schema_texts

__all__ = ["schema_files", "schema_names"]


def schema_names() -> tuple[str, ...]:
    """Return the words that name a schema, such as ``policy-set``."""
    return tuple(name.partition(".")[0] for name in schema_texts())


def schema_files(kind: str | None) -> dict[str, str]:
    """Return the text of one schema, or of all, by file name."""
    return {name: text for name, text in schema_texts().items() if kind in (None, name.partition(".")[0])}
