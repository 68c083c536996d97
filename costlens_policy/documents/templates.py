"""Sections with placeholders: checked by shape when read, and in full once the placeholders are filled in."""

from __future__ import annotations

from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from costlens_policy.documents.document import Section

__all__ = ["TemplateOf"]

_PLACEHOLDER: Final[JsonSchemaValue] = {
    "type": "string",
    "pattern": r"^\$\{[^}]+\}$",
    "patternErrorMessage": "a placeholder such as `${tier}`",
    "description": "The value of an axis, such as `${tier}`.",
}


class TemplateOf:
    """Marks a ``dict[str, Any]`` as a section whose values may be placeholders ``${axis}`` until they are filled in.

    The JSON Schema is the section's own, with a placeholder allowed wherever a text of any kind would not be.
    """

    __slots__ = ("section",)

    def __init__(self, section: type[Section]) -> None:
        self.section: Final = section

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        whole = self.section.model_json_schema()
        definitions = whole.pop("$defs", {})
        return _opened_section(whole, definitions)


def _opened(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Let a placeholder stand for a value, and for each value within it."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return _opened(target | {key: value for key, value in schema.items() if key != "$ref"}, definitions)
    described = {key: schema[key] for key in ("description", "default", "title", "examples") if key in schema}
    bare = {key: value for key, value in schema.items() if key not in described}
    if not bare or _takes_any_text(bare):
        return schema
    if "anyOf" in bare:
        branches = [_opened_section(branch, definitions) for branch in bare["anyOf"]]
    else:
        branches = [_opened_section(bare, definitions)]
    if any(_takes_any_text(branch) for branch in branches):
        return described | {"anyOf": branches}
    return described | {"anyOf": [*branches, _PLACEHOLDER]}


def _opened_section(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Open the values within a schema, not the schema itself."""
    if "$ref" in schema:
        return _opened_section(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    opened = dict(schema)
    if "properties" in opened:
        opened["properties"] = {key: _opened(value, definitions) for key, value in opened["properties"].items()}
    for word in ("items", "additionalProperties"):
        if isinstance(opened.get(word), dict):
            opened[word] = _opened(opened[word], definitions)
    return opened


def _takes_any_text(schema: JsonSchemaValue) -> bool:
    return schema.get("type") == "string" and not {"pattern", "format", "enum", "const"} & schema.keys()
