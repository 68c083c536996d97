"""Operations of policies made ready to run: patterns compiled, templates parsed, numbers made plain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.documents.placeholders import ParsedTemplate, parse_template
from costlens_policy.documents.rewrites import (
    DropExamples,
    Operation,
    Redact,
    Replace,
    ShortenToolOutput,
    SystemText,
    Template,
    TextPiece,
    TrimHistory,
)
from costlens_policy.rewrites.affixes import PrefixStep, SuffixStep
from costlens_policy.rewrites.examples import DropExamplesStep
from costlens_policy.rewrites.history import TrimHistoryStep
from costlens_policy.rewrites.parameters import ClampStep, RemoveStep, SetStep
from costlens_policy.rewrites.redaction import compile_redact
from costlens_policy.rewrites.replacement import compile_replace
from costlens_policy.rewrites.steps import RewriteStep, Step
from costlens_policy.rewrites.system_text import SystemStep
from costlens_policy.rewrites.template import TemplateStep
from costlens_policy.rewrites.tool_output import ShortenToolOutputStep
from costlens_policy.tokens import ESTIMATE, Tokenizer

__all__ = ["compile_operation"]


def compile_operation(
    operation: Operation, values: Mapping[str, Callable[..., Any]], tokenizer: Tokenizer = ESTIMATE
) -> RewriteStep:
    """Return a checked operation as a step.

    ``values`` holds the compiled expressions of ``template.values`` by name; they are called with the activation that
    ``apply`` gets, one argument for each of its entries. Token limits are measured with ``tokenizer``. Raises
    ``ValueError`` for a pattern, group or placeholder that the checker would have refused.
    """
    key = next(key for key in Operation.exactly_one if getattr(operation, key) is not None)
    if key == "template":
        assert operation.template is not None
        return RewriteStep(key, (_template(operation.template, values),))
    return RewriteStep(key, _steps(key, getattr(operation, key), tokenizer))


def _steps(key: str, section: Any, tokenizer: Tokenizer) -> tuple[Step, ...]:
    match section:
        case SystemText():
            return (SystemStep(section.text, section.place),)
        case TextPiece():
            return (PrefixStep(section.text) if key == "prefix" else SuffixStep(section.text),)
        case DropExamples():
            return (DropExamplesStep(section.keep, section.begin, section.end),)
        case TrimHistory():
            return (TrimHistoryStep(section.max_prompt_tokens, tokenizer),)
        case ShortenToolOutput():
            marker = _known(parse_template(section.marker), {"tokens"})
            return (ShortenToolOutputStep(section.max_tokens, marker, tokenizer),)
        case Replace():
            return (compile_replace(section),)
        case Redact():
            return (compile_redact(section),)
    return tuple(_parameter(key, name, section) for name in section)


def _template(section: Template, values: Mapping[str, Callable[..., Any]]) -> Step:
    template = _known(parse_template(section.text), {"prompt", *values})
    return TemplateStep(template, tuple((name, values[name]) for name in values if name in template.names))


def _parameter(key: str, name: str, section: Any) -> Step:
    target = canonical_parameter(name)
    if key == "set_params":
        return SetStep(target, _plain(section[name]))
    if key == "clamp_params":
        return ClampStep(target, _bound(section[name].min), _bound(section[name].max))
    return RemoveStep(target)


def _known(template: ParsedTemplate, names: set[str]) -> ParsedTemplate:
    unknown = [name for name in template.names if name not in names]
    if unknown:
        raise ValueError(f"unknown placeholder `{unknown[0]}`")
    return template


def _bound(bound: Decimal | None) -> int | float | None:
    return None if bound is None else _number(bound)


def _number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def _plain(value: Any) -> Any:
    """Return a value of a document as JSON has it: numbers are floats or whole, dates are texts."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
