"""Hold a plain document against its JSON Schema, and say which rule each value breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from costlens_policy.schema.branches import best_branch
from costlens_policy.schema.generate import json_schema
from costlens_policy.source.located import Path, Plain

__all__ = ["Schema", "Violation", "inline_schema", "violations"]

Schema = Mapping[str, Any]
_MOMENTS: Final = {"date": (date,), "date-time": (date, datetime)}


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule of the schema that one value breaks.

    ``rule`` is a keyword of JSON Schema, or ``alternatives`` where one of several keys has to be there.
    ``schema`` is the part of the schema that holds at ``path``; ``key`` is the missing or unknown key, if any.
    """

    rule: str
    path: Path
    value: Plain
    schema: Schema
    key: str = ""


def violations(kind: str, plain: Any) -> Iterator[Violation]:
    """Yield what a document of a known kind breaks, in the order of the schema."""
    for error in _validator(kind).iter_errors(plain):
        yield from _read(error)


@cache
def inline_schema(kind: str) -> Schema:
    """Return a kind's schema with every reference replaced by what it refers to; no section nests in itself."""
    schema = json_schema(kind)
    definitions = schema.get("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(item) for item in part]
        if not isinstance(part, dict):
            return part
        merged = dict(part)
        if isinstance(reference := merged.pop("$ref", None), str):
            merged = {**definitions[reference.rpartition("/")[2]], **merged}
        return {key: inline(value) for key, value in merged.items()}

    return {key: inline(value) for key, value in schema.items() if key != "$defs"}


@cache
def _validator(kind: str) -> Any:
    # jsonschema types neither `extend` nor `descend`, hence Any.
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"number": _is_number, "integer": _is_integer})
    rules = {"type": _check_type, "required": _check_required, "additionalProperties": _check_keys}
    extend: Any = validators.extend
    closed = extend(Draft202012Validator, validators=rules, type_checker=checker)
    return closed(inline_schema(kind))


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_integer(_: object, value: object) -> bool:
    return _is_number(_, value) and value == int(value)  # type: ignore[call-overload]  # a number by the first test


def _check_type(validator: Any, name: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
    if not validator.is_type(value, name) and not isinstance(value, _MOMENTS.get(schema.get("format", ""), ())):
        yield _error("")


def _check_required(_validator: Any, keys: list[str], value: Any, _: Schema) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        yield from (_error(key) for key in keys if key not in value)


def _check_keys(validator: Any, others: Any, value: Any, schema: Schema) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known = schema.get("properties", {})
    for key in value:
        if key in known:
            continue
        if others is False:
            yield _error(key)
        else:
            yield from validator.descend(value[key], others, path=key)


def _error(key: str) -> ValidationError:
    """Make an error whose message is the key it is about; the sentence for the author is made later."""
    return ValidationError(key)


def _read(error: ValidationError) -> Iterator[Violation]:
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    value: Any = error.instance
    within = list(error.absolute_schema_path)[-2:-1]
    if within == ["propertyNames"]:
        yield Violation(str(error.validator), (*path, value), value, schema, key=value)
    elif error.validator == "anyOf" and schema["anyOf"][0].keys() != {"required"}:
        yield from _read_union(error, path)
    elif error.validator in ("oneOf", "anyOf"):
        yield Violation("alternatives", path, value, schema)
    else:
        keyed = error.validator in ("required", "additionalProperties")
        yield Violation(str(error.validator), path, value, schema, key=error.message if keyed else "")


def _read_union(error: ValidationError, path: Path) -> Iterator[Violation]:
    """Say what the branch that fits best finds wrong, or that no branch fits."""
    value: Any = error.instance
    schema: Any = error.schema
    branch = best_branch(value, schema["anyOf"])
    if branch is None:
        yield Violation("union", path, value, schema)
        return
    for inner in error.context or ():
        if inner.relative_schema_path[0] == branch:
            yield from _read(inner)
