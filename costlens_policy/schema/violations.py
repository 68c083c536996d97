"""The violations of a document's JSON Schema, of alternatives only those of the branch that was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from costlens_policy.frozen import frozen
from costlens_policy.schema.generate import bare_schema
from costlens_policy.source.located import LocatedDocument, LocatedValue, Path, Plain

__all__ = [
    "Schema", "Violation", "best_branch", "expected", "found", "section_name", "shown", "subject", "type_of",
    "violations", "written",
]  # fmt: skip

Schema = Mapping[str, Any]
_TIME_TYPES: Final = {"date": (date,), "date-time": (date, datetime)}


@frozen
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


def _exact(bound: Any) -> Any:
    """Return a number of a schema as it is written: documents have decimals, and a double may be just below one."""
    return Decimal(repr(bound)) if isinstance(bound, float) else bound


@cache
def _inline_schema(kind: str) -> Schema:
    """Return a kind's schema with every reference replaced by what it refers to; a section may contain its own kind."""
    schema = bare_schema(kind)
    references: list[tuple[dict[str, Any], str]] = []

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(item) for item in part]
        if not isinstance(part, dict):
            return part
        merged = {key: _exact(inline(value)) for key, value in part.items()}
        if isinstance(reference := merged.pop("$ref", None), str):
            references.append((merged, reference.rpartition("/")[2]))
        return merged

    definitions = {name: inline(part) for name, part in schema.get("$defs", {}).items()}
    whole: dict[str, Any] = inline({key: value for key, value in schema.items() if key != "$defs"})
    for merged, name in references:
        merged.update({**definitions[name], **merged})
    return whole


@cache
def _validator(kind: str) -> Any:
    # jsonschema types neither `extend` nor `descend`, hence Any.
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"number": _is_number, "integer": _is_integer})
    rules = {"type": _check_type, "required": _check_required, "additionalProperties": _check_keys}
    extend: Any = validators.extend
    closed = extend(Draft202012Validator, validators=rules, type_checker=checker)
    return closed(_inline_schema(kind))


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_integer(_: object, value: object) -> bool:
    return _is_number(_, value) and value == int(value)  # type: ignore[call-overload]  # a number by the first test


def _check_type(validator: Any, name: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
    if not validator.is_type(value, name) and not isinstance(value, _TIME_TYPES.get(schema.get("format", ""), ())):
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
        other = "anyOf" if error.validator == "oneOf" else "oneOf"
        yield Violation("alternatives", path, value, {key: part for key, part in schema.items() if key != other})
    else:
        keyed = error.validator in ("required", "additionalProperties")
        yield Violation(str(error.validator), path, value, schema, key=error.message if keyed else "")


def _read_union(error: ValidationError, path: Path) -> Iterator[Violation]:
    """Yield the errors of the best-matching branch, or that no branch matches."""
    value: Any = error.instance
    schema: Any = error.schema
    branch = best_branch(value, schema["anyOf"])
    if branch is None:
        yield Violation("union", path, value, schema)
        return
    for inner in error.context or ():
        if inner.relative_schema_path[0] == branch:
            yield from _read(inner)


def type_of(value: Plain) -> str:
    """Return JSON Schema's name for the type of a value; dates are ``string``, as in JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | Decimal():
            return "number"
        case str() | date():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"


def best_branch(value: Plain, branches: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the index of the branch that a value comes nearest to; None where it resembles none of several."""
    kind = type_of(value)
    fitting = [index for index, branch in enumerate(branches) if _takes(branch, kind)]
    if not isinstance(value, dict) or len(fitting) == 1:
        return fitting[0] if fitting else None
    likeness = {index: _likeness(value, branches[index]) for index in fitting}
    best = max(likeness, key=lambda index: likeness[index], default=None)
    return best if best is not None and likeness[best] > (0, 0) else None


def _takes(branch: Mapping[str, Any], kind: str) -> bool:
    wanted = branch.get("type", kind)
    return bool(wanted == kind or (wanted == "integer" and kind == "number"))


def _likeness(value: dict[str, Plain], branch: Mapping[str, Any]) -> tuple[int, int]:
    """Count the keys that are required by the branch, then those that it knows."""
    return (
        sum(key in value for key in branch.get("required", ())),
        sum(key in value for key in branch.get("properties", ())),
    )


_LONGEST: Final = 60
_FORMATS: Final = {
    "cel": "an expression",
    "re2": "a regular expression",
    "date": "a date",
    "date-time": "a timestamp",
}
_TYPES: Final = {
    "string": "text",
    "number": "a number",
    "integer": "an integer",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "a mapping",
}


def expected(schema: Mapping[str, Any]) -> str:
    """Return what a schema wants, such as ``an integer or an expression``."""
    branches = schema.get("anyOf", ()) if "type" not in schema else ()
    if branches:
        return " or ".join(dict.fromkeys(expected(branch) for branch in branches))
    return _FORMATS.get(schema.get("format", "")) or _TYPES.get(schema.get("type", ""), "something else")


def found(value: Plain) -> str:
    """Return what kind of value this is."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | Decimal():
            return "a number"
        case datetime():
            return "a timestamp"
        case date():
            return "a date"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case str():
            return "text"


def written(document: LocatedDocument, value: LocatedValue) -> str:
    """Return the text of a value as the author wrote it, shortened to one line."""
    return shown(document.source.text[value.span.start.offset : value.span.end.offset])


def shown(text: str) -> str:
    """Return text for a message: one line, shortened if necessary."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def subject(path: Path) -> str:
    """Return what a path leads to: `` `key` ``, ``item 2 of `key` `` or ``the document``."""
    if not path:
        return "the document"
    step = path[-1]
    if isinstance(step, str):
        return f"`{shown(step)}`"
    return f"item {step + 1} of {subject(path[:-1])}"


def section_name(schema: Mapping[str, Any], value: Plain, path: Path) -> str:
    """Return a section as an author would call it: ``route `cheap-first` ``, `` `defaults` `` or ``operation``."""
    title = str(schema.get("title", "mapping"))
    if isinstance(value, dict):
        for key in ("id", "name"):
            if isinstance(name := value.get(key), str):
                return f"{title} `{shown(name)}`"
    if path and isinstance(path[-1], str):
        return subject(path)
    return f"this {title}"
