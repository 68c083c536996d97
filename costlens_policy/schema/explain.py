"""Explain what is wrong with a document in its author's terms: one explanation per rule of JSON Schema.

Values of the wrong type or form get advice on what was probably meant, and unknown keys on where they belong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Final

from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed, nearest
from costlens_policy.errors import lowered
from costlens_policy.schema.generate import bare_schema, json_schema
from costlens_policy.schema.violations import Violation, expected, found, section_name, shown, subject, written
from costlens_policy.source.located import LocatedDocument

__all__ = ["advice_on_type", "explain", "homes_of", "plain_number", "repaired"]


def explain(document: LocatedDocument, kind: str, violation: Violation) -> Diagnostic:
    """Return the message for one violation, at the place that has to be changed."""
    if violation.value is None and violation.rule in ("type", "union"):
        return _empty(document, violation)
    if violation.rule == "additionalProperties":
        return _unknown_key(document, kind, violation)
    if violation.rule == "required":
        return _missing_key(document, kind, violation)
    if violation.rule == "type" and "enum" in violation.schema and not isinstance(violation.value, list | dict):
        return _unknown_value(document, violation)
    return _RULES[violation.rule](document, violation)


def _problem(code: str, message: str, span: Span, label: str = "", advice: str = "") -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, label, advice)


def _unknown_key(document: LocatedDocument, kind: str, broken: Violation) -> Diagnostic:
    known = list(broken.schema.get("properties", ()))
    where = section_name(broken.schema, broken.value, broken.path)
    span = document.root.key_span((*broken.path, broken.key)) or document.root.span_of(broken.path)
    advice = did_you_mean(broken.key, known)
    if not advice and (homes := homes_of(kind, broken.key)):
        advice = _instead(broken, homes) or f"`{broken.key}` belongs in {_or(homes)}"
    return _problem(
        "CL103",
        f"unknown key `{shown(broken.key)}` in {where}",
        span,
        "not a key of this section",
        advice or f"the keys are {listed(known)}",
    )


def _instead(broken: Violation, homes: tuple[str, ...]) -> str:
    """Return advice on a key of another kind of the same thing, such as ``rolling`` in a window of the calendar."""
    title, first = str(broken.schema.get("title", "")), next(iter(broken.schema.get("required", ())), "")
    if (
        len(homes) > 1
        or not isinstance(broken.value, dict)
        or first not in broken.value
        or homes[0].strip("`").split()[-1:] != title.split()[-1:]
    ):
        return ""
    return f"`{first}` and `{broken.key}` are alternatives; keep one of them"


def _or(homes: tuple[str, ...]) -> str:
    return homes[0] if len(homes) == 1 else f"{', '.join(homes[:-1])} or {homes[-1]}"


def _missing_key(document: LocatedDocument, kind: str, broken: Violation) -> Diagnostic:
    where = section_name(broken.schema, broken.value, broken.path)
    meaning = next(_descriptions(json_schema(kind), broken.schema.get("title", ""), broken.key), "")
    return _problem(
        "CL104",
        f"{where} has no `{broken.key}`",
        document.root.span_of((*broken.path, broken.key)),
        f"`{broken.key}` is missing here",
        f"add `{broken.key}`: {_as_clause(meaning)}",
    )


def _descriptions(schema: Any, title: str, key: str) -> Iterator[str]:
    """Yield the descriptions of a key of the sections with a title, wherever a schema describes them."""
    if isinstance(schema, list):
        for part in schema:
            yield from _descriptions(part, title, key)
    elif isinstance(schema, Mapping):
        if schema.get("title") == title and key in schema.get("properties", {}):
            yield schema["properties"][key].get("description", "")
        for part in schema.values():
            yield from _descriptions(part, title, key)


def _as_clause(description: str) -> str:
    """Return the first sentence of a description, as a part of another sentence."""
    first = re.split(r"\.(?=\s|$)", description, maxsplit=1)[0]
    return lowered(first)


def _wrong_type(document: LocatedDocument, broken: Violation) -> Diagnostic:
    located = document.root.find(broken.path)
    assert located is not None
    actual = found(broken.value)
    if actual == "a number" and expected(broken.schema) == "an integer":
        actual = "a fraction"
    return _problem(
        "CL105",
        f"{subject(broken.path)} must be {expected(broken.schema)}, got {actual}",
        document.root.span_of(broken.path) if located.kind == "scalar" else _head(document, broken),
        f"this is {actual}",
        advice_on_type(broken, written(document, located)),
    )


def _head(document: LocatedDocument, broken: Violation) -> Span:
    """Point at the name of a value that runs over many lines, not at all of it."""
    return document.root.key_span(broken.path) or document.root.span_of((*broken.path, ""))


def _empty(document: LocatedDocument, broken: Violation) -> Diagnostic:
    span = document.root.key_span(broken.path) or document.root.span_of(broken.path)
    return _problem(
        "CL110",
        f"{subject(broken.path)} has no value",
        span,
        f"{expected(broken.schema)} is missing after this" if broken.path else "",
        "write a value, or remove the key" if broken.path and isinstance(broken.path[-1], str) else "remove it",
    )


def _unknown_value(document: LocatedDocument, broken: Violation) -> Diagnostic:
    allowed = [_yaml(item) for item in broken.schema.get("enum", [broken.schema.get("const")])]
    text = _yaml(broken.value)
    if broken.key:
        where = subject(broken.path[:-1])
        span = document.root.key_span(broken.path) or document.root.span_of(broken.path)
        advice = did_you_mean(text, allowed) or f"the keys are {listed(allowed)}"
        return _problem("CL103", f"unknown key `{shown(text)}` in {where}", span, "not a key of this section", advice)
    advice = did_you_mean(text, allowed)
    one_of = f"it must be {listed(allowed)}" if len(allowed) == 1 else f"choose {listed(allowed, 'or', 16)}"
    return _problem(
        "CL106",
        f"`{shown(text)}` is not a value of {_owner(broken)}",
        document.root.span_of(broken.path),
        "unknown value",
        one_of if not advice else f"{advice} {one_of}" if len(allowed) <= 5 else advice,
    )


def _owner(broken: Violation) -> str:
    named = [step for step in broken.path if isinstance(step, str)]
    return f"`{named[-1]}`" if named else "the document"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bad_form(document: LocatedDocument, broken: Violation) -> Diagnostic:
    text = str(broken.value)
    message = f"`{shown(text)}` cannot be a key of {subject(broken.path[:-1])}" if broken.key else ""
    span = document.root.key_span(broken.path) if broken.key else None
    rule = broken.schema.get("patternErrorMessage", f"text that matches `{broken.schema['pattern']}`")
    better = repaired(text, broken.schema["pattern"])
    return _problem(
        "CL107",
        message or f"{subject(broken.path)} cannot be `{shown(text)}`",
        span or document.root.span_of(broken.path),
        "wrong form",
        f"write `{better}`; allowed: {rule}" if better else f"allowed: {rule}",
    )


def _out_of_range(document: LocatedDocument, broken: Violation) -> Diagnostic:
    value, schema = broken.value, broken.schema
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    advice = _range(schema)
    if schema.get("maximum") == 1 and isinstance(value, int | Decimal) and 1 < value <= 100:
        advice = f"a ratio is from 0 to 1: {value} % is `{Decimal(value) / 100}`"
    return _problem(
        "CL108",
        f"{subject(broken.path)} must be {limits[broken.rule]} {schema[broken.rule]}, got {value}",
        document.root.span_of(broken.path),
        "out of range",
        advice,
    )


def _range(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"the range is from {schema['minimum']} to {schema['maximum']}"
    return ""


def _wrong_length(document: LocatedDocument, broken: Violation) -> Diagnostic:
    bound = broken.schema[broken.rule]
    unit = {"L": "characters", "I": "items", "P": "keys"}[broken.rule[3]]
    unit = unit[:-1] if bound == 1 else unit
    least = broken.rule.startswith("min")
    text = f"{subject(broken.path)} needs at least {bound} {unit}"
    if least and bound == 1 and not broken.value:
        text = f"{subject(broken.path)} is empty"
    elif not least:
        text = f"{subject(broken.path)} has more than {bound} {unit}"
    span = document.root.key_span(broken.path) if broken.key else None
    label = "" if not least else "too few" if bound > 1 else f"needs at least {bound} {unit}"
    return _problem("CL108", text, span or document.root.span_of(broken.path), label or "too long")


def _alternatives(document: LocatedDocument, broken: Violation) -> Diagnostic:
    exact = "oneOf" in broken.schema
    keys = [branch["required"][0] for branch in broken.schema["oneOf" if exact else "anyOf"]]
    where = section_name(broken.schema, broken.value, broken.path)
    there = [key for key in broken.value if key in keys] if isinstance(broken.value, dict) else []
    if len(there) < 2:
        message = f"{where} has none of {listed(keys, 'and', 16)}"
        advice = "add exactly one of them" if exact else "add at least one of them"
        return _problem("CL109", message, document.root.span_of((*broken.path, "")), "incomplete", advice)
    spans = [document.root.key_span((*broken.path, key)) for key in there]
    first, second = spans[0], spans[1]
    assert first is not None
    assert second is not None
    return Diagnostic(
        "CL109",
        Severity.ERROR,
        f"{where} has both `{there[0]}` and `{there[1]}`",
        second,
        "conflicts with the other",
        f"keep one of {listed(there)}",
        (Related(first, "first one here"),),
    )


def _no_branch(document: LocatedDocument, broken: Violation) -> Diagnostic:
    sections = [branch for branch in broken.schema["anyOf"] if branch.get("type") == "object"]
    if not isinstance(broken.value, dict) or not sections:
        return _wrong_type(document, broken)
    ways = [" with ".join(f"`{key}`" for key in branch["required"]) for branch in sections if "required" in branch]
    return _problem(
        "CL109",
        f"{subject(broken.path)} has none of its keys",
        document.root.key_span(broken.path) or document.root.span_of(broken.path),
        "incomplete",
        f"add {', '.join(ways[:-1])} or {ways[-1]}",
    )


_RULES: Final[dict[str, Callable[[LocatedDocument, Violation], Diagnostic]]] = {
    "type": _wrong_type,
    "enum": _unknown_value,
    "const": _unknown_value,
    "pattern": _bad_form,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "exclusiveMinimum": _out_of_range,
    "exclusiveMaximum": _out_of_range,
    "minLength": _wrong_length,
    "maxLength": _wrong_length,
    "minItems": _wrong_length,
    "maxItems": _wrong_length,
    "minProperties": _wrong_length,
    "maxProperties": _wrong_length,
    "alternatives": _alternatives,
    "union": _no_branch,
}

_NUMBER: Final = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_MONEY: Final = re.compile(r"(?:\$|usd)\s*([0-9]+(?:\.[0-9]+)?)|([0-9]+(?:\.[0-9]+)?)\s*(?:\$|usd)", re.IGNORECASE)


def advice_on_type(broken: Violation, text: str) -> str:
    """Return how to write the value, or an empty string. ``text`` is the value as written in the file."""
    schemas = broken.schema.get("anyOf") or [broken.schema]
    if len(schemas) > 1 and isinstance(broken.value, str) and all(item.get("type") == "object" for item in schemas):
        return _to_one_of(schemas, broken, broken.value.strip())
    for schema in schemas:
        if advice := _ADVICE.get(schema.get("type", ""), _none)(schema, broken, text):
            return advice
    return ""


def _to_one_of(schemas: Sequence[Any], broken: Violation, text: str) -> str:
    """Return advice on the key under which text belongs, such as ``1h`` under ``rolling``."""
    firsts = {schema["required"][0]: schema for schema in schemas if schema.get("required")}
    for key, schema in firsts.items():
        wanted = schema["properties"][key]
        if text in wanted.get("enum", ()) or ("pattern" in wanted and re.fullmatch(wanted["pattern"], text)):
            return f"write {_pair(broken)}{{{key}: {text}}}`"
        if text == key and wanted.get("type") == "boolean":
            return f"write {_pair(broken)}{{{key}: true}}`"
    values = {value: key for key, schema in firsts.items() for value in schema["properties"][key].get("enum", ())}
    near = nearest(text, values)
    if near is not None:
        return f"write {_pair(broken)}{{{values[near]}: {near}}}`"
    return f"its keys are {listed(firsts)}"


def _none(schema: Any, broken: Violation, text: str) -> str:
    return ""


def _to_text(schema: Any, broken: Violation, text: str) -> str:
    value = broken.value
    if isinstance(value, bool | int | Decimal | date):
        if "patternErrorMessage" in schema and not re.search(schema["pattern"], text):
            return f"allowed: {schema['patternErrorMessage']}"
        reads = {bool: "a boolean", int: "a number", Decimal: "a number"}.get(type(value), "a date")
        return f'YAML reads {text} as {reads}; quote it: {_pair(broken)}"{text}"`'
    if schema.get("format") == "cel" and isinstance(value, dict) and len(value) == 1:
        return "quote the expression, or write it on separate lines after `|`"
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return "write the text without the list"
    return ""


def _to_number(schema: Any, broken: Violation, text: str) -> str:
    if not isinstance(broken.value, str):
        return "write it without a fraction" if isinstance(broken.value, Decimal) else ""
    content = broken.value.strip()
    if _NUMBER.fullmatch(content):
        return f"remove the quotes: {_pair(broken)}{content}`"
    if digits := plain_number(content):
        return f"write {_pair(broken)}{digits}`"
    if match := _PERCENT.fullmatch(content):
        return f"write {_pair(broken)}{Decimal(match[1]) / 100 if schema.get('maximum') == 1 else match[1]}`"
    if match := _MONEY.fullmatch(content):
        return f"write the number alone, in US dollars: {_pair(broken)}{match[1] or match[2]}`"
    return ""


def _to_boolean(schema: Any, broken: Violation, text: str) -> str:
    word = str(broken.value).casefold()
    if word in ("true", "yes", "on", "y", "1"):
        return f"write {_pair(broken)}true`"
    return f"write {_pair(broken)}false`" if word in ("false", "no", "off", "n", "0") else ""


def _to_list(schema: Any, broken: Violation, text: str) -> str:
    if isinstance(broken.value, str | int | Decimal) and len(text) < 40:
        return f"write a list: {_pair(broken)}[{text}]`"
    return "put `- ` before each item" if isinstance(broken.value, dict) else ""


def _to_mapping(schema: Any, broken: Violation, text: str) -> str:
    keys = list(schema.get("properties", ()))
    needed = schema.get("required", ())
    if isinstance(broken.value, list):
        return f"remove the `- `; its keys are {listed(keys)}" if keys else "write `name: value` pairs, without `- `"
    if isinstance(broken.value, str) and len(needed) == 1 and len(text) < 40:
        value = text if re.fullmatch(r"[\w./-]+", text) else json.dumps(broken.value, ensure_ascii=False)
        return f"write {_pair(broken)}{{{needed[0]}: {value}}}`"
    return f"its keys are {listed(keys)}" if keys else ""


def _pair(broken: Violation) -> str:
    """Return the start of an example: an opening backtick and, outside lists, the key."""
    step = broken.path[-1] if broken.path else 0
    return f"`{step}: " if isinstance(step, str) else "`"


_ADVICE: Final = {
    "string": _to_text,
    "number": _to_number,
    "integer": _to_number,
    "boolean": _to_boolean,
    "array": _to_list,
    "object": _to_mapping,
}


def homes_of(kind: str, key: str) -> tuple[str, ...]:
    """Return the titles of all sections that know a key, in order of the alphabet; ``document`` is the top level."""
    return _homes(kind).get(key, ())


@cache
def _homes(kind: str) -> dict[str, tuple[str, ...]]:
    homes: dict[str, set[str]] = {}
    for title, properties in _sections(kind):
        for key in properties:
            homes.setdefault(key, set()).add(title)
    return {key: tuple(sorted(titles)) for key, titles in homes.items()}


def _sections(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = bare_schema(kind)
    yield "the document's top level", schema["properties"]
    for section in schema.get("$defs", {}).values():
        if "properties" in section:
            yield f"`{section['title']}`", section["properties"]


_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LENGTH: Final = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)\s*(milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?)", re.IGNORECASE
)
_UNITS: Final = {"mil": "ms", "sec": "s", "min": "m", "hou": "h", "hr": "h", "hrs": "h", "day": "d", "wee": "w"}
_SHORT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmM])")
_GROUPED: Final = re.compile(r"[0-9]{1,3}([,_ ][0-9]{3})+")


def repaired(text: str, pattern: str) -> str:
    """Return the text in the form of a pattern, where case, blanks, signs or the words of units are all it takes."""
    for better in (_as_length(text), _as_name(text, "-"), _as_name(text, "_")):
        if len(better) > 1 and re.search(pattern, better):
            return better
    return ""


def plain_number(text: str) -> str:
    """Return ``8k``, ``1.5M`` or ``10,000`` as digits alone; empty for any other text."""
    if match := _SHORT.fullmatch(text):
        number = Decimal(match[1]) * (1000 if match[2] in "kK" else 1_000_000)
        return str(int(number)) if number == int(number) else ""
    return re.sub("[,_ ]", "", text) if _GROUPED.fullmatch(text) else ""


def _as_length(text: str) -> str:
    match = _LENGTH.fullmatch(text.strip())
    return match[1] + _UNITS[match[2].lower()[:3]] if match else ""


def _as_name(text: str, joint: str) -> str:
    words = _HUMP.sub(joint, text).lower()
    return re.sub(r"[^a-z0-9._]+", joint, words).strip("-_. ")
