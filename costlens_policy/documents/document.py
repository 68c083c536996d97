"""What every document has in common: ``apiVersion``, ``kind`` and ``metadata``."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from costlens_policy.documents.scalars import DocumentName, Version

__all__ = ["API_VERSIONS", "Document", "Metadata", "Section"]

API_VERSIONS: Final = ("costlens-policy/v1",)


class Section(BaseModel):
    """A part of a document: frozen, and closed to keys it does not know. The JSON Schema has seen the types first."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


class Metadata(Section):
    """Which document this is."""

    name: DocumentName
    """Name of the document, unique within a repository of policies."""
    version: Version
    """Version of the document. Quote it, or YAML reads ``1.10`` as the number 1.1."""
    description: str = ""
    """What the document is for, in a sentence or two."""
    owners: tuple[str, ...] = ()
    """People or teams who answer for it."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Free keys and values for your own tooling; they change no decision."""


class Document(Section):
    """The head of every document."""

    api_version: Literal["costlens-policy/v1"] = Field(alias="apiVersion")
    """Version of the document format."""
    metadata: Metadata
