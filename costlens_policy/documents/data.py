"""A data document: a table that the conditions of every policy of a set read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from costlens_policy.documents.document import AttributeName, Document, Metadata

__all__ = ["DataDocument", "DataMetadata"]


class DataMetadata(Metadata):
    """Which table this is."""

    name: AttributeName
    """Name of the table: expressions read it as ``data.name``."""


class DataDocument(Document):
    """A table, or any other value, that every policy of the set reads as ``data.name``."""

    kind: Literal["Data"]
    """This document holds values for conditions."""
    metadata: DataMetadata
    """Name and version of the table, and who answers for it."""
    type: Annotated[str, Field(examples=["map(string, double)", "list(string)"])] | None = None
    """CEL type that the value must have; deduced where it is left out."""
    data: Annotated[Any, Field(examples=[{"research": {"tier": "gold", "monthly_usd": 500}}])]
    """The value: texts, numbers, booleans, timestamps, and lists and maps of them. Where all numbers of a list or map
    are not whole, they all are doubles."""
