"""Turn a broken rule of the schema into a diagnostic: one function for each rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.schema.mistypes import advice_on_type
from costlens_policy.schema.repairs import repaired
from costlens_policy.schema.sections import homes_of
from costlens_policy.schema.violations import Violation
from costlens_policy.schema.wording import expected, found, section_name, shown, subject, written
from costlens_policy.source.located import LocatedDocument

__all__ = ["explain"]


def explain(document: LocatedDocument, kind: str, violation: Violation) -> Diagnostic:
    """Return the message for one violation, at the place that has to be changed."""
    if violation.value is None and violation.rule in ("type", "union"):
        return _empty(document, violation)
    if violation.rule == "additionalProperties":
        return _unknown_key(document, kind, violation)
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
        advice = f"`{broken.key}` belongs in {_or(homes)}"
    return _problem(
        "CL103",
        f"unknown key `{shown(broken.key)}` in {where}",
        span,
        "not a key of this section",
        advice or f"the keys here are {listed(known)}",
    )


def _or(homes: tuple[str, ...]) -> str:
    return homes[0] if len(homes) == 1 else f"{', '.join(homes[:-1])} or {homes[-1]}"


def _missing_key(document: LocatedDocument, broken: Violation) -> Diagnostic:
    where = section_name(broken.schema, broken.value, broken.path)
    meaning = broken.schema["properties"][broken.key].get("description", "")
    return _problem(
        "CL104",
        f"{where} has no `{broken.key}`",
        document.root.span_of((*broken.path, broken.key)),
        f"`{broken.key}` is missing here",
        f"add `{broken.key}`: {_as_clause(meaning)}",
    )


def _as_clause(description: str) -> str:
    """Return the first sentence of a description, as a part of another sentence."""
    first = re.split(r"\.(?=\s|$)", description, maxsplit=1)[0]
    return first[:1].lower() + first[1:]


def _wrong_type(document: LocatedDocument, broken: Violation) -> Diagnostic:
    located = document.root.find(broken.path)
    assert located is not None
    actual = found(broken.value)
    if actual == "a number" and expected(broken.schema) == "a whole number":
        actual = "a fraction"
    return _problem(
        "CL105",
        f"{subject(broken.path)} must be {expected(broken.schema)}, not {actual}",
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
        "write a value, or take the key out" if broken.path and isinstance(broken.path[-1], str) else "take it out",
    )


def _unknown_value(document: LocatedDocument, broken: Violation) -> Diagnostic:
    allowed = [_yaml(item) for item in broken.schema.get("enum", [broken.schema.get("const")])]
    text = _yaml(broken.value)
    if broken.key:
        where = subject(broken.path[:-1])
        span = document.root.key_span(broken.path) or document.root.span_of(broken.path)
        advice = did_you_mean(text, allowed) or f"the keys here are {listed(allowed)}"
        return _problem("CL103", f"unknown key `{shown(text)}` in {where}", span, "not a key of this section", advice)
    advice = did_you_mean(text, allowed)
    one_of = f"it must be {listed(allowed)}" if len(allowed) == 1 else f"it is one of {listed(allowed, 'or', 16)}"
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
        f"write `{better}`; allowed are {rule}" if better else f"allowed are {rule}",
    )


def _out_of_range(document: LocatedDocument, broken: Violation) -> Diagnostic:
    value, schema = broken.value, broken.schema
    limits = {"minimum": "at least", "maximum": "at most"}
    advice = _range(schema)
    if schema.get("maximum") == 1 and isinstance(value, int | Decimal) and 1 < value <= 100:
        advice = f"a ratio counts from 0 to 1: {value} % is `{Decimal(value) / 100}`"
    return _problem(
        "CL108",
        f"{subject(broken.path)} must be {limits[broken.rule]} {schema[broken.rule]}, not {value}",
        document.root.span_of(broken.path),
        "out of range",
        advice,
    )


def _range(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"it goes from {schema['minimum']} to {schema['maximum']}"
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
        advice = "name exactly one of them" if exact else "name at least one of them"
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
        "excluded by the other",
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
        f"{subject(broken.path)} says nothing that is known",
        document.root.key_span(broken.path) or document.root.span_of(broken.path),
        "incomplete",
        f"name {', '.join(ways[:-1])} or {ways[-1]}",
    )


_RULES: Final[dict[str, Callable[[LocatedDocument, Violation], Diagnostic]]] = {
    "required": _missing_key,
    "type": _wrong_type,
    "enum": _unknown_value,
    "const": _unknown_value,
    "pattern": _bad_form,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
    "minLength": _wrong_length,
    "maxLength": _wrong_length,
    "minItems": _wrong_length,
    "maxItems": _wrong_length,
    "minProperties": _wrong_length,
    "maxProperties": _wrong_length,
    "alternatives": _alternatives,
    "union": _no_branch,
}
