"""Mapping files: the documents that `--mapping FILE` names, as a typed model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from costlens_policy.replay.traffic.mapping import ColumnMapping, TimeUnit
from costlens_policy.replay.traffic.ready import READY
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["mapping_of"]

_Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
"""A column or field; YAML reads some names as numbers."""


class _MappingFile(BaseModel):
    """The content of a mapping file. ``based_on`` is the ready mapping that it modifies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    based_on: str | None = None
    columns: dict[_Name, _Name] = {}
    constants: dict[str, Any] = {}
    outcomes: dict[_Name, _Name] = {}
    answers: dict[_Name, _Name] = {}
    time_unit: TimeUnit = "iso"
    relative: StrictBool = False
    block_tokens: Annotated[StrictInt, Field(ge=1)] = 1


_MUST_BE: Final[Mapping[str, str]] = {
    "based_on": "the name of a ready mapping",
    "time_unit": f"one of {', '.join(get_args(TimeUnit))}",
    "relative": "true or false",
    "block_tokens": "a positive integer",
}
_LONGEST: Final = 60
_OF_NAMES: Final = "a mapping of names"


def mapping_of(content: Any, name: str) -> ColumnMapping:
    """Return the mapping that a file's content describes. Raises ``TrafficError`` if it describes none."""
    if not isinstance(content, dict):
        raise TrafficError(f"`{name}` is not a mapping; write `columns:` with a field and its column on each line")
    try:
        file = _MappingFile.model_validate(content)
    except ValidationError as error:
        raise TrafficError(_problem(error, name)) from None
    start = ColumnMapping(name, {}) if file.based_on is None else _ready(file.based_on)
    given = {key: getattr(file, key) for key in file.model_fields_set - {"based_on", "columns", "constants"}}
    return replace(start, name=name, **given).with_columns(file.columns, file.constants)


def _ready(name: str) -> ColumnMapping:
    if name not in READY:
        close = get_close_matches(name, READY, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"the ready mappings are {', '.join(READY)}"
        raise TrafficError(f"unknown ready mapping `{name}`; {hint}")
    return READY[name]


def _problem(error: ValidationError, name: str) -> str:
    """Return what is wrong with a file first, unknown keys before all, since they may be misspelled ones."""
    found = sorted(error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden")[0]
    key, *inside = (str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        close = get_close_matches(key, _MappingFile.model_fields, n=1)
        return f"`{name}` has an unknown key `{key}`" + (f"; did you mean `{close[0]}`?" if close else "")
    place = _place(key, inside)
    return f"`{place}` of `{name}` must be {_wanted(key, inside)}, got `{str(found['input'])[:_LONGEST]}`"


def _place(key: str, inside: Sequence[str]) -> str:
    return ".".join((key, *(part for part in inside if part != "[key]")))


def _wanted(key: str, inside: Sequence[str]) -> str:
    return "a name" if inside else _MUST_BE.get(key, _OF_NAMES)
