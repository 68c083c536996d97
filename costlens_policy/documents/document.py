"""What every document has in common: ``apiVersion``, ``kind`` and ``metadata``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from costlens_policy.documents.scalars import DocumentName, Version

__all__ = ["API_VERSIONS", "Document", "Metadata", "Section"]

API_VERSIONS: Final = ("costlens-policy/v1",)


def _alternatives(schema: dict[str, Any], section: type[Section]) -> None:
    if section.exactly_one:
        schema["oneOf"] = [{"required": [key]} for key in section.exactly_one]
    if section.at_least_one:
        schema["anyOf"] = [{"required": [key]} for key in section.at_least_one]


class Section(BaseModel):
    """A part of a document: frozen, and closed to keys it does not know. The JSON Schema has seen the types first."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        use_attribute_docstrings=True,
        json_schema_extra=_alternatives,
    )

    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Keys that exclude each other, and of which one must be there."""
    at_least_one: ClassVar[tuple[str, ...]] = ()
    """Keys of which one must be there, or several."""

    @model_validator(mode="after")
    def _keep_to_alternatives(self) -> Self:
        if self.exactly_one and self._count(self.exactly_one) != 1:
            raise ValueError(f"name exactly one of {_listed(self.exactly_one)}")
        if self.at_least_one and not self._count(self.at_least_one):
            raise ValueError(f"name at least one of {_listed(self.at_least_one)}")
        return self

    def _count(self, keys: tuple[str, ...]) -> int:
        return sum(getattr(self, key) not in (None, ()) for key in keys)


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys[:-1]) + f" and `{keys[-1]}`"


class Metadata(Section):
    """Which document this is."""

    name: DocumentName
    """Name of the document, unique within a repository of policies."""
    version: Version
    """Version of the document. Quote it, or YAML reads ``1.10`` as the number 1.1."""
    description: Annotated[str, Field(examples=["Who may call which model, and at what price."])] = ""
    """What the document is for, in a sentence or two."""
    owners: tuple[Annotated[str, Field(examples=["platform-team"])], ...] = ()
    """People or teams who answer for it."""
    labels: dict[str, str] = Field(default_factory=dict, examples=[{"ticket": "PLAT-231"}])
    """Free keys and values for your own tooling; they change no decision."""


class Document(Section):
    """The head of every document."""

    api_version: Literal["costlens-policy/v1"] = Field(alias="apiVersion")
    """Version of the document format."""
    metadata: Metadata
    """Name and version of the document, and who answers for it."""
