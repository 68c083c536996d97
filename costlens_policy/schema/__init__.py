"""The schema phase: from located documents to typed ones; and the JSON Schemas for editors."""

from __future__ import annotations

from costlens_policy.schema.generate import file_name, json_schema, schema_texts
from costlens_policy.schema.read import read_document
from costlens_policy.schema.windows import with_windows_apart

__all__ = ["file_name", "json_schema", "read_document", "schema_texts", "with_windows_apart"]
