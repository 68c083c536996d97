"""OpenTelemetry's export: spans inside ``resourceSpans``, attributes as lists of key and value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["spans_of"]


def spans_of(row: RawRow) -> Iterator[RawRow]:
    """Yield a row for each span that reports tokens; a row that is one flat span stays what it is."""
    if "resourceSpans" not in row.fields and "scopeSpans" not in row.fields:
        yield replace(row, fields=_plain(row.fields))
        return
    for resource in _items(row.fields, "resourceSpans") or [row.fields]:
        for scope in _items(resource, "scopeSpans"):
            for span in _items(scope, "spans"):
                fields = _plain(span)
                if any(str(name).startswith("gen_ai.usage.") for name in fields.get("attributes", ())):
                    yield replace(row, fields=fields)


def _items(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _plain(span: Any) -> dict[str, Any]:
    fields = dict(span)
    if isinstance(fields.get("attributes"), list):
        pairs = [item for item in fields["attributes"] if isinstance(item, dict)]
        fields["attributes"] = {str(item.get("key")): _value(item.get("value")) for item in pairs}
    return fields


def _value(value: Any) -> Any:
    if not isinstance(value, dict) or len(value) != 1:
        return value
    kind, content = next(iter(value.items()))
    return int(content) if kind == "intValue" and str(content).lstrip("-").isdigit() else content
